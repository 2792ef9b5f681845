"""
An address of a channel is a secret: what it holds must not be found in records, logs or messages.

Services put their tokens anywhere in it (user, password, host, path, query), so every part but the scheme is taken for
one.
"""

import re
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "***"
# A shorter secret is looked for as a word of its own only: otherwise `a` would hide a letter of every word.
_LEAST_INSIDE_COUNT = 4


def redact(text: str, url: str) -> str:
    """
    Return a text in which every part of an address is hidden.

    Example:
        >>> redact("POST /T0ken/abcd failed for ada", "json://ada:pass@host/T0ken/abcd?key=k9")
        'POST /***/*** failed for ***'
    """
    for secret in _secrets(url):
        pattern = re.escape(secret)
        if len(secret) < _LEAST_INSIDE_COUNT:
            pattern = rf"(?<!\w){pattern}(?!\w)"
        text = re.sub(pattern, HIDDEN, text, flags=re.IGNORECASE)
    return text


def _secrets(url: str) -> list[str]:
    rest = url.strip().split("://", maxsplit=1)[-1]
    place, _, query = rest.partition("?")
    parts = [url.strip(), rest, place, query, *re.split(r"[/\\:@,;#]+", re.sub(r":\d+(?=/|$)", "", place))]
    for pair in query.split("&"):
        value = pair.partition("=")[2]
        parts += [value, *re.split(r"[/\\:@,;#]+", unquote_plus(value))]
    written = {form(part) for part in parts for form in (str, unquote, unquote_plus, quote, quote_plus, _encoded)}
    return sorted((one for one in written if one.strip()), key=len, reverse=True)


def _encoded(part: str) -> str:
    return quote(unquote(part), safe="")
