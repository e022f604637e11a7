"""Which variables are secrets, by their names and by the shape of their values (pure)."""

from __future__ import annotations

import fnmatch
import functools
import re

# Those of the catalogue whose leak is S0, and the spellings beside them.
PATTERNS = (
    "*TOKEN*", "*_KEY", "KEY", "*APIKEY*", "*PASSWORD*", "*PASSWD*", "*_PASS", "PASS", "*PASSPHRASE*", "*SECRET*",
    "*CREDENTIAL*", "*PRIVATE*", "*_DSN", "DSN", "DATABASE_URL", "*CONNECTION_STRING*", "*_PAT",
    "*_PWD", "*JWT", "*AUTHORIZATION*",
)  # fmt: skip
# A URL with a password in it.
_CREDENTIALS = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
# Names that a pattern takes for a secret and that hold none: where one is, how long it lives, whether it is wanted.
_ABOUT = re.compile(
    r".*_(FILE|PATH|DIR|NAME|ID|LENGTH|LIFETIME|TTL|EXPIR\w*|TIMEOUT|MINUTES|HOURS|DAYS|SECONDS|ALGORITHM|ENABLED|URL|URI)"
    r"|(ALLOW|ENABLE|DISABLE|USE|REQUIRE|SKIP)_.*|.*_PUBLIC_KEY|.*TOKENIZERS?\w*|(.*_)?MAX_TOKENS"
)


@functools.cache
def _pattern() -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in PATTERNS))


def looks_secret(name: str, value: str) -> bool:
    """By its name, or because the value is a URL with a password. In doubt it is one: for what must not spread."""
    return bool(_pattern().match(name.upper()) or _CREDENTIALS.search(value))


def is_secret(name: str, value: str | None) -> bool:
    """The same without what only tells of a secret (`TOKEN_TTL`, `PASSWORD_FILE`) or is empty: for what is reported."""
    if value is not None and _CREDENTIALS.search(value):
        return True
    if not _pattern().match(name.upper()) or _ABOUT.fullmatch(name.upper()):
        return False
    return value is None or (value != "" and value.lower() not in ("true", "false", "yes", "no", "0", "1"))
