"""Files of texts to predict."""

import gzip

import pytest

from hpsearch.core.errors import HpsearchError
from hpsearch.models.text_files import read_texts


def test_a_text_is_a_line_whatever_characters_it_has(tmp_path):
    path = tmp_path / "new.txt"
    path.write_bytes("one\u2028still one\r\n\ntwo\x0bstill two\n".encode("utf-8-sig"))
    assert list(read_texts(path).read()) == ["one\u2028still one", "", "two\x0bstill two"]


@pytest.mark.parametrize("name", ["new.csv", "new.csv.gz"])
def test_a_column_of_a_table_is_read_packed_or_not(tmp_path, name):
    path, content = tmp_path / name, b'n,text\n1,"a\nb"\n2,NA\n3,\n'
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert list(read_texts(path).read()) == ["a\nb", "NA", ""]


def test_a_damaged_packed_table_is_told_in_one_line(tmp_path):
    path = tmp_path / "new.csv.gz"
    path.write_bytes(gzip.compress(b"text\na\n" * 99)[:20])
    with pytest.raises(HpsearchError, match="cannot be read as CSV"):
        read_texts(path)
