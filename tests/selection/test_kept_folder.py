"""What is known of a study's own preprocessing before a kept folder is read."""

from sklearn.feature_extraction.text import CountVectorizer

from hpsearch import Data, Task
from hpsearch.selection.kept_folder import types_of_preprocessing

TEXTS = Data(["good film", "bad film"] * 600, [0, 1] * 600)


def test_preprocessing_that_needs_more_rows_than_a_sample_gets_them():
    def find_types(least):
        words = CountVectorizer(min_df=least)
        task = Task("t", TEXTS, "binary_crossentropy", "accuracy", preprocess=words)
        return types_of_preprocessing(task, TEXTS, [{}])

    assert find_types(1000) == find_types(1)
