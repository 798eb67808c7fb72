"""How unforeseen errors are told in one line."""

from hpsearch.core.errors import first_line


def test_what_keras_says_below_where_it_happened_is_told():
    message = (
        "Exception encountered when calling Dense.call().\n\n\x1b[1mMatrix size-incompatible: "
        "In[0]: [2,3]\x1b[0m\n\nArguments received by Dense.call():\n  • x=tf.Tensor"
    )
    assert first_line(ValueError(message)) == (
        "ValueError: Exception encountered when calling Dense.call(): Matrix size-incompatible: "
        "In[0]: [2,3]"
    )
    assert first_line(ValueError(message.split("\n")[0])).endswith("calling Dense.call().")
