"""I10 and I11: no secrets, no home folders, no machine names; and every document of the pack is strict."""

from collections.abc import Iterator

from perflib.errors import DataError
from perflib.governance.evidence import secrets
from perflib.governance.evidence.layout import UNLISTED
from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.rules.base import SCHEMA, Look, Setting, broken, held


def silence(pack: Pack, setting: Setting) -> Iterator[Look]:
    """Look for secrets and traces of a machine in every file (I10)."""
    for path in sorted(pack.files):
        for text in _texts(pack, path):
            found = [*secrets.secrets(text), *secrets.foreign_words(text, host_names=setting.host_names)]
            yield held(not found, "I10", path, f"The file holds {', '.join(found)}.")


def strictness(pack: Pack, _: Setting) -> Iterator[Look]:
    """Read every JSON, YAML and Parquet file strictly, also those that no other rule asks for (I11)."""
    for path in pack.paths():
        try:
            if path.endswith(".json"):
                pack.json(path)
            elif path.endswith((".yaml", ".yml")):
                pack.yaml(path)
            elif path.endswith(".parquet"):
                pack.table(path)
            elif path.endswith((".md", ".csv", ".html", ".svg", ".txt")):
                pack.text(path)
            yield None
        except DataError as error:
            yield broken("I11", path, str(error), code=SCHEMA)


def _texts(pack: Pack, path: str) -> Iterator[str]:
    if path in UNLISTED and path.endswith(".json"):
        return  # the signed payload is the manifest once more, in base64
    if path.endswith(".parquet"):
        table = pack.table(path)
        for column in table.columns:
            if not hasattr(table[column].dtype, "itemsize") or table[column].dtype.kind == "O":
                yield "\n".join([str(column), *(str(value) for value in table[column].dropna().unique())])
    else:
        # Latin-1 reads any bytes, and a secret is in ASCII.
        yield pack.content(path).decode("latin-1")
