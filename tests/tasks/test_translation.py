"""The made-up languages: their sentences, and which translations are right."""

import numpy as np

from hpsearch.tasks import translation
from hpsearch.tasks.translation import LONGEST, decode, encode, right_characters, right_sentences

DATA = translation.task().load()
FEMININE = ("cat", "hen", "owl", "pig")


def test_sentences_are_of_both_languages_and_none_is_in_the_test():
    texts, translations = decode(DATA.x), decode(DATA.y)
    pairs = dict(zip(texts, translations, strict=True))
    assert len(pairs) == DATA.rows == 4000
    assert not set(pairs) & set(decode(DATA.x_test))
    assert {len(codes) for codes in (*DATA.x[:9], *DATA.y[:9])} == {LONGEST}
    assert max(map(len, (*texts, *translations))) < LONGEST  # an end is in each row
    assert DATA.fingerprint == translation.load().fingerprint


def test_words_are_reordered_and_agree():
    """Each ending is that of the noun's kind and number, each verb's of who did it."""
    pairs = dict(zip(decode(DATA.x), decode(DATA.y), strict=True))
    for text, translated in pairs.items():
        words = text.split()
        (at,) = (n for n, word in enumerate(words) if word in ("saw", "hit", "fed", "led", "met"))
        who, whom = words[:at], words[at + 1 :]
        found = translated.split()
        assert len(found) == len(words)
        verb, first, second = found[0], found[1 : 1 + len(whom)], found[1 + len(whom) :]
        assert verb.endswith("ent" if who[-1].endswith("s") else "et")
        for phrase, source in ((first, whom), (second, who)):
            several, kind = source[-1].endswith("s"), source[-1].rstrip("s") in FEMININE
            ending = (("o", "oi"), ("a", "ae"))[kind][several]
            assert all(word.endswith(ending) for word in phrase)


def test_which_translations_are_right():
    y = encode(["bateto a", "ko"])
    assert decode(y) == ["bateto a", "ko"]
    assert right_sentences(y, y) == right_characters(y, y) == 1
    other = encode(["bateti a", "ko"])
    assert right_sentences(y, other) == 0.5
    assert right_characters(y, other) == 1 - 1 / 12  # 10 characters and 2 ends
    cut = np.roll(y, 1, axis=1)
    assert right_sentences(y, cut) == 0


def test_copies_are_never_right():
    assert right_sentences(DATA.y, DATA.x) == 0
