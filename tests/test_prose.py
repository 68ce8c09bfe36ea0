"""The check of the words that the glossary refuses, and of those that may only become fewer."""

from tests import prose


def test_it_finds_a_word_in_sentences_and_in_names_and_nowhere_else() -> None:
    text = "A wish is asked.\ndef grant_wish(): ...\nclass Wishes: ...\nwishful thinking\n14 Mill Lane\na lane\n"
    assert [number for number, _ in prose.found(text, ["wish", "wishes", "lane"])] == [1, 2, 3, 6]


def test_it_reads_them_from_the_glossary() -> None:
    assert {"wish", "once more", "patience"} <= set(prose.never())


def test_the_allowance_shrinks_with_what_is_left() -> None:
    left = prose.left()
    assert {
        directory: left[directory] for directory, most in prose.ALLOWED.items() if left[directory] < most - 10
    } == {}
    assert prose.main() == 0
