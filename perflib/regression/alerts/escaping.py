r"""
Words from files made harmless before they stand in a message: names, sentences and reasons of anybody's choice.

A message goes to chats, mails, pages and logs of CI systems, each with commands of its own. What could start one is
written differently: line breaks, control and direction marks, mentions, links, tags, and workflow commands.

    >>> plain_words("int8\n::set-output name=x::y")
    'int8 : :set-output name=x: :y'
    >>> plain_words("@channel <!here> https://a.b")
    '(at)channel ‹!here› https: //a.b'
"""

import re
import unicodedata

MAX_WORDS_COUNT = 600
# Order matters: an arrow is no tag, and what is spaced out must not join again.
_HARMLESS = (
    ("->", "→"),
    ("@", "(at)"),
    ("<", "‹"),
    (">", "›"),
    ("`", "'"),
    ("##[", "## ["),
    ("://", ": //"),
)
# Control, surrogate and private characters, marks that change the direction of writing, line and paragraph breaks.
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_MARKDOWN = re.compile(r"([\\*_\[\]|~#])")


def plain_words(text: str) -> str:
    """Return a text on one line that no channel takes for more than words."""
    words = "".join(" " if unicodedata.category(one) in _UNSEEN else one for one in text)
    for risky, harmless in _HARMLESS:
        words = words.replace(risky, harmless)
    words = re.sub(":(?=:)", ": ", words)
    words = re.sub(r"\bwww\.", "www .", " ".join(words.split()), flags=re.IGNORECASE)
    return words if len(words) <= MAX_WORDS_COUNT else words[: MAX_WORDS_COUNT - 1] + "…"


def markdown_words(text: str) -> str:
    """Return a text as `plain_words` that Markdown shows as it is written."""
    return _MARKDOWN.sub(r"\\\1", plain_words(text))


def markdown_code(text: str) -> str:
    """Return a name or command as code, in which Markdown finds nothing."""
    return f"`{plain_words(text)}`"


def xml_words(text: str) -> str:
    """Return a text without the characters that XML cannot hold; line breaks become spaces."""
    return " ".join("".join(" " if unicodedata.category(one) in _UNSEEN else one for one in text).split())
