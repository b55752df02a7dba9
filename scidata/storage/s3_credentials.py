"""Credentials for S3, found as the AWS tools find them. None is kept, printed or quoted."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from scidata.errors import StorageError

if TYPE_CHECKING:
    from obstore.store import S3Credential

KEY = "AWS_ACCESS_KEY_ID"
SECRET = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a variable
CREDENTIALS_LAST = timedelta(minutes=10)


def refuse_half_a_key(environ: Mapping[str, str], address: str) -> None:
    """Refuse an environment with a key and no secret.

    Raises
    ------
    StorageError
        If it is so.
    """
    if environ.get(KEY) and not environ.get(SECRET):
        raise StorageError(
            f"{KEY} is set without {SECRET}",
            where=address,
            fix=f"set {SECRET}, too, or unset {KEY} and set AWS_PROFILE",
        )


def found(address: str) -> "Chain":
    """Return what botocore finds for a store at `address`.

    Raises
    ------
    StorageError
        If there are no credentials, or the user's AWS settings cannot be used.
    """
    from botocore.exceptions import BotoCoreError, ProfileNotFound

    try:
        return Chain(address)
    except BotoCoreError as error:
        # Other messages may quote what a credential process printed.
        what = error if isinstance(error, ProfileNotFound) else type(error).__name__
        raise StorageError(
            f"the AWS settings cannot be used: {what}",
            where=address,
            fix="correct AWS_PROFILE or the files in ~/.aws, or read public data with "
            "--no-sign-request",
        ) from error


class Chain:
    """Profiles, SSO, web identity, container and instance roles, as botocore finds them."""

    def __init__(self, address: str) -> None:
        """Look for them once."""
        import botocore.session

        session = botocore.session.Session()
        self.region: str | None = session.get_config_variable("region")
        credentials = session.get_credentials()
        if credentials is None:
            raise StorageError(
                "no AWS credentials were found",
                where=address,
                fix="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, or read "
                "public data with --no-sign-request",
            )
        self._credentials = credentials

    def __call__(self) -> "S3Credential":
        """Return them as obstore asks for them, renewed where botocore renews them."""
        frozen = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key or "",
            "secret_access_key": frozen.secret_key or "",
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + CREDENTIALS_LAST,
        }
