"""Judge the RO-Crate in a folder; run by the Python of `tests.judges`, without a network.

Arguments: the folder, and that of official schemas. Prints one line for each issue.
"""

import json
import sys
from pathlib import Path
from typing import Any

# pyright: reportMissingImports=false
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

CONTEXT = "w3id.org/ro/crate/1.3/context"


class Answer:
    """What a server would answer: the official context."""

    status_code = 200
    headers = {"Content-Type": "application/ld+json"}  # noqa: RUF012 - as requests has it

    def __init__(self, text: str) -> None:
        self.text = text
        self.content = text.encode()

    def json(self) -> Any:  # Any: JSON
        return json.loads(self.text)

    def raise_for_status(self) -> None:
        pass


def judge(crate: Path, schemas: Path) -> int:
    text = (schemas / CONTEXT).read_text("utf-8")

    def get(self: object, url: str, **_: object) -> Answer:
        if CONTEXT not in url:
            raise ConnectionError(url)
        return Answer(text)

    HttpRequester.get = get
    settings = models.ValidationSettings(
        rocrate_uri=str(crate),
        profile_identifier="ro-crate-1.3",
        requirement_severity=models.Severity.RECOMMENDED,
    )
    issues = list(services.validate(settings).get_issues())
    for issue in issues:
        at = issue.violatingEntity
        print(issue.severity.name, issue.check.identifier, issue.message, at)
    return bool(issues)


if __name__ == "__main__":
    sys.exit(judge(Path(sys.argv[1]), Path(sys.argv[2])))
