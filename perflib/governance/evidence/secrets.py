"""
Nothing in a pack that should not leave the house (I10): keys, tokens, somebody's home folder, a machine's name.

Tokens are found by detect-secrets, by those of its plugins that know a token by its form. Left out are those that guess
by entropy, for they call every sha256 a secret; by a word before it, for they are slow and take prose for a password;
and the numbers of the internet, for a version looks like one.

    >>> list(foreign_words("written to C:" + chr(92) + "Users" + chr(92) + "ann"))
    ['a path in a home folder']
"""

import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any

# A path as people and programs write it, with either slash; in JSON the backslash stands twice.
_HOME = re.compile(
    r"(?<![\w./~-])/(?:home|Users)/[A-Za-z0-9._-]+|(?<![\w./~-])/root/[.\w]|[A-Za-z]:\\{1,2}Users\\{1,2}\w"
)
_HOST = re.compile(
    r"\bip-\d{1,3}(?:-\d{1,3}){3}\b|\b[a-z0-9-]+\.(?:[a-z0-9-]+\.)*(?:compute\.internal|localdomain|home\.arpa|corp|lan)\b"
    r"|\"(?:host|host_?name|node_?name|fqdn)\"\s*:\s*\"[^\"]",
    re.IGNORECASE,
)
_PRIVATE = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----|PuTTY-User-Key-File-\d")


def secrets(text: str) -> Iterator[str]:
    """Yield what kinds of secrets stand in a text; never the secret itself."""
    if _PRIVATE.search(text):
        yield "a private key"
    for plugin in _plugins():
        if any(True for _ in plugin.analyze_string(text)):
            yield f"what looks like a secret ({plugin.secret_type})"


def foreign_words(text: str, *, host_names: Sequence[str] = ()) -> Iterator[str]:
    """
    Yield what a text says of the machine that it was written on.

    Args:
        text: Of one file.
        host_names: Names that must not stand in it, such as this machine's own.
    """
    if _HOME.search(text):
        yield "a path in a home folder"
    if _HOST.search(text):
        yield "the name of a machine"
    for name in host_names:
        # Shorter names are words: `build`, `node1`.
        if len(name) >= 6 and name != "localhost" and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text):
            yield "this machine's name"


@functools.cache
def _plugins() -> tuple[Any, ...]:
    from detect_secrets.plugins import (
        aws,
        azure_storage_key,
        basic_auth,
        discord,
        github_token,
        gitlab_token,
        jwt,
        mailchimp,
        openai,
        private_key,
        pypi_token,
        sendgrid,
        slack,
        square_oauth,
        stripe,
        telegram_token,
        twilio,
    )

    return (
        aws.AWSKeyDetector(),
        azure_storage_key.AzureStorageKeyDetector(),
        basic_auth.BasicAuthDetector(),
        discord.DiscordBotTokenDetector(),
        github_token.GitHubTokenDetector(),
        gitlab_token.GitLabTokenDetector(),
        jwt.JwtTokenDetector(),
        mailchimp.MailchimpDetector(),
        openai.OpenAIDetector(),
        private_key.PrivateKeyDetector(),
        pypi_token.PypiTokenDetector(),
        sendgrid.SendGridDetector(),
        slack.SlackDetector(),
        square_oauth.SquareOAuthDetector(),
        stripe.StripeDetector(),
        telegram_token.TelegramBotTokenDetector(),
        twilio.TwilioKeyDetector(),
    )
