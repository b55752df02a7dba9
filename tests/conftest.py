"""Fixtures for every test: an isolated user, servers on loopback, and a tiny dataset."""

import os
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.demonstration import Demonstration, demonstrate
from tests.judges import make_judges_python
from tests.once import made_once
from tests.plainly import make_plain_python
from tests.samples import write_bare, write_staged
from tests.servers import (
    aws_environment,
    create_bucket,
    folder_server,
    moto_server,
    rclone_server,
)

# The servers and judges (rclone, aws) lie beside this Python, whether or not its environment is
# activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

# Programs of other environments, which need what this one lacks.
collect_ignore = ["judge_crate.py"]

# The same examples at each run where a change is judged; new ones wherever somebody develops.
# No test is timed: it may share its cores.
settings.register_profile("scidata", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "scidata")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that all processes end at about one time."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


FOREIGN = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "SCIDATA_STORE",
    "SCIDATA_BASE_URL",
    "DATACITE_API",
    "DATACITE_REPOSITORY",
    "DATACITE_PASSWORD",
    "DATACITE_API_KEY",
    "DATACITE_PREFIX",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
)


@pytest.fixture(autouse=True)
def isolated_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A home folder of the test's own: no test reads or writes the developer's settings."""
    home = tmp_path_factory.mktemp("home")
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return home


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 server that keeps its promises (moto), as a URL."""
    with moto_server() as endpoint:
        yield endpoint


@pytest.fixture
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """``s3://bucket/prefix`` in a fresh bucket, with the AWS environment set for it."""
    for name, value in aws_environment(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    create_bucket(s3_endpoint, bucket)
    return f"s3://{bucket}/prefix"


@pytest.fixture(scope="session")
def rclone_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 server that ignores conditional writes (rclone), as a URL; bucket ``bucket``."""
    folder = tmp_path_factory.mktemp("rclone")
    (folder / "bucket").mkdir()
    with rclone_server(folder) as endpoint:
        yield endpoint


@pytest.fixture
def rclone_url(rclone_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """``s3://bucket/prefix`` on the dishonest server, with the AWS environment set for it."""
    for name, value in aws_environment(rclone_endpoint).items():
        monkeypatch.setenv(name, value)
    return f"s3://bucket/{uuid.uuid4().hex[:12]}"


@pytest.fixture
def http_folder(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A folder and the http address that serves it, with ranges."""
    folder = tmp_path / "served"
    folder.mkdir()
    with folder_server(folder) as base_url:
        yield base_url, folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that may lie beside a checkout; else the test is skipped."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data beside this checkout")
    return folder


@pytest.fixture(scope="session")
def schemas_if_any() -> Path | None:
    """The folder of official schemas, by host and path of their addresses, if there is one."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "schemas"
    folder = Path(os.environ.get("SCIDATA_SCHEMAS", beside))
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def schemas(schemas_if_any: Path | None) -> Path:
    """The folder of official schemas; else a skip."""
    if schemas_if_any is None:
        pytest.skip("no official schemas: set SCIDATA_SCHEMAS to their folder")
    return schemas_if_any


@pytest.fixture(scope="session")
def plain_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with Intake and readers, and without scidata."""
    return made_once(tmp_path_factory, "plain", make_plain_python) / "bin/python"


@pytest.fixture(scope="session")
def judges_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with the judges that cannot share ours."""
    return made_once(tmp_path_factory, "judges", make_judges_python) / "bin/python"


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Demonstration:
    """What ``scidata demo`` leaves behind; look, and copy it before changing it."""
    return Demonstration(made_once(tmp_path_factory, "demonstration", demonstrate))


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """A tiny, valid staged dataset called ``tiny``: tests may change it as they like."""
    return write_staged(tmp_path / "staged" / "tiny")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A staged dataset of two text files called ``bare``."""
    return write_bare(tmp_path / "staged" / "bare")
