"""Remote paths: as `pathlib.Path` is, without a request more than is needed, and without a secret in any message."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from maskflow_convert import convert, load_config, remote
from maskflow_convert.adapter import AdapterOptions, InputPath
from maskflow_convert.cli import main
from maskflow_convert.config import Config
from maskflow_convert.errors import ConfigError, PluginError, SourceError, without_secrets
from maskflow_convert.remote import RemotePath, path_of
from stores import Store, a_store

SECRETS = ["s3://KEY:SECRET@bucket/x", "s3://KEY:SEC/RET+@bucket/x", "gs://SECRET@bucket/x", "https://u:SECRET@h/x"]


class Options(AdapterOptions):
    folder: InputPath


@pytest.fixture
def store() -> Iterator[type[Store]]:
    with a_store() as made:
        made.put("bucket/a/one.jpg", b"one")
        made.put("bucket/a/deep/two.png", b"two")
        made.put("bucket/list.txt", b"first\nsecond")
        yield made


class TestPathOf:
    @pytest.mark.parametrize("text", ["a/b.json", "/a/b.json", "C:/a", "a::b", "s3:/a", "file:///a/b.json"])
    def test_of_this_machine(self, text):
        path = path_of(text)
        assert type(path) is type(Path())
        assert str(path) == text.removeprefix("file://")

    def test_remote(self, store):
        assert repr(path_of("S3://bucket/a/../b.json")) == "RemotePath('s3://bucket/b.json')"

    def test_paths_stay(self, store):
        for path in (Path("a"), RemotePath("s3://bucket/a")):
            assert path_of(path) is path

    @pytest.mark.parametrize("url", SECRETS)
    def test_no_user_and_password(self, url):
        with pytest.raises(ConfigError, match="keep credentials where") as caught:
            path_of(url)
        assert "SEC" not in str(caught.value) + repr(caught.value)

    def test_no_signature(self):
        with pytest.raises(ConfigError, match="may be a secret") as caught:
            path_of("https://host/x.json?X-Amz-Signature=SECRET")
        assert "SECRET" not in str(caught.value)

    @pytest.mark.parametrize("url", ["s3://", "s3:///", "S3://.", "s3://..", "s3://bucket/a/../.."])
    def test_nothing_is_named(self, store, url):
        with pytest.raises(ConfigError, match=r"names nothing; write more of it, as in s3://bucket/folder"):
            path_of(url)

    @pytest.mark.parametrize("url", ["s3://bucket/a@b.jpg", "s3://bucket/a:b@c", "s3://bucket"])
    def test_no_secret(self, store, url):
        assert str(path_of(url)) == url

    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("gs://b/x", r"^gs://b/x needs: pip install 'maskflow-convert\[gcs\]'$"),
            ("abfs://b/x", "^abfs://b/x needs: Install adlfs"),
            ("nowhere://b/x", "^nowhere://b/x: storage of the kind nowhere:// cannot be used$"),
            ("ftp://b/x", "^ftp://b/x: storage of the kind ftp:// cannot be used$"),  # it needs a host apart
        ],
    )
    def test_what_is_not_installed(self, monkeypatch, url, told):
        remote._file_system.cache_clear()
        for name in ("gcsfs", "adlfs"):
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ConfigError, match=told):
            path_of(url)

    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("memory://b/x", "memory://b/x needs: pip install fsspec"),
            ("s3://b/x", "s3://b/x needs: pip install 'maskflow-convert[s3]'"),
            ("https://h/x", "https://h/x needs: pip install 'maskflow-convert[http]'"),
        ],
    )
    def test_without_fsspec(self, monkeypatch, url, told):
        remote._file_system.cache_clear()
        monkeypatch.setitem(sys.modules, "fsspec", None)
        with pytest.raises(ConfigError) as caught:
            path_of(url)
        assert str(caught.value) == told


class TestCommandLine:
    @pytest.mark.parametrize("command", ["convert", "validate", "inspect", "preview"])
    def test_what_is_not_installed(self, command, monkeypatch, capsys):
        remote._file_system.cache_clear()
        monkeypatch.setitem(sys.modules, "gcsfs", None)
        with pytest.raises(SystemExit) as caught:
            main([command, "gs://bucket/records"])
        assert caught.value.code == 2
        assert "gs://bucket/records needs: pip install 'maskflow-convert[gcs]'" in capsys.readouterr().err

    @pytest.mark.parametrize("url", SECRETS)
    def test_secrets(self, url, capsys):
        with pytest.raises(SystemExit):
            main(["validate", url])
        assert "SEC" not in capsys.readouterr().err

    @pytest.mark.parametrize("url", SECRETS)
    @pytest.mark.parametrize(
        "key", ["sources[0].annotations", "sources[0].images", "output.directory", "output.layout"]
    )
    def test_secrets_in_settings(self, url, key, tmp_path, capsys):
        (tmp_path / "c.yaml").write_text("sources: [{adapter: coco, annotations: a.json, images: i}]")
        assert main(["convert", str(tmp_path / "c.yaml"), "--set", f"{key}={url}"]) == 2
        told = capsys.readouterr().err
        assert "SEC" not in told
        assert key in told

    @pytest.mark.parametrize("key", ["sources[0].images", "output.layout", "nothing", "run.workers"])
    def test_secrets_in_what_is_raised(self, key, tmp_path):
        (tmp_path / "c.yaml").write_text("sources: [{adapter: coco, annotations: a.json, images: i}]")
        with pytest.raises(ConfigError) as caught:
            load_config(tmp_path / "c.yaml", [f"{key}=s3://KEY:SECRET@bucket/x"])
        assert "SECRET" not in repr(caught.value) + str(caught.value)

    def test_secrets_in_a_yaml(self, tmp_path, capsys):
        text = "sources: [{adapter: voc, root: r, labels: 's3://KEY:SECRET@b/l', origin: 's3://KEY:SECRET@b/l'}]"
        (tmp_path / "c.yaml").write_text(text)
        assert main(["convert", str(tmp_path / "c.yaml")]) == 2
        assert "SECRET" not in capsys.readouterr().err

    def test_pictures_are_drawn_on_this_machine(self, store, capsys):
        with pytest.raises(SystemExit):
            main(["preview", "s3://bucket/records", "--output", "s3://bucket/pictures"])
        assert "s3://bucket/pictures is not on this machine" in capsys.readouterr().err


def test_without_secrets():
    assert without_secrets("at s3://k:a/b@bucket/x, and http://h:80/y?a=b: no") == (
        "at s3://***@bucket/x, and http://h:80/y?***: no"
    )
    assert without_secrets("mail@host, what? yes; 'a?b'") == "mail@host, what? yes; 'a?b'"


class TestAsAnyPath:
    def test_names(self, store):
        path = path_of("s3://bucket/a/one.jpg")
        assert isinstance(path, Path)
        assert (path.name, path.stem, path.suffix) == ("one.jpg", "one", ".jpg")
        assert str(path.parent) == "s3://bucket/a"
        assert str(path.parent / "two.jpg") == str(path.with_name("two.jpg")) == "s3://bucket/a/two.jpg"
        assert str(path.with_suffix(".json")) == "s3://bucket/a/one.json"
        assert path.relative_to("s3://bucket").as_posix() == "a/one.jpg"
        assert path.absolute() == path.expanduser() == path.resolve() == path
        assert sorted([path / "b", path / "a"])[0].name == "a"

    def test_pickles(self, store):
        path = path_of("s3://bucket/a")
        again = pickle.loads(pickle.dumps(path))  # noqa: S301
        assert (type(again), again, hash(again)) == (RemotePath, path, hash(path))

    def test_memory_is_of_one_process(self, tmp_path):
        text = "sources: [{adapter: shapes, count: 4}]\noutput: {directory: 'memory://out', shard_size: 1 images}"
        (tmp_path / "c.yaml").write_text(text)
        config = load_config(tmp_path / "c.yaml", ["run.executor=processes", "run.workers=2"])
        with pytest.raises(PluginError, match=r"memory://out is in the memory of this process; set `run.executor: ser"):
            convert(config)

    def test_in_a_model(self, store):
        class Model(BaseModel):
            path: Path

        made = Model(path=path_of("s3://bucket/a"))
        assert type(made.path) is RemotePath
        assert made.model_dump(mode="json") == {"path": "s3://bucket/a"}

    @pytest.mark.parametrize(
        ("below", "inside"),
        [
            ("one.jpg", True),
            ("deep/../one.jpg", True),
            ("../list.txt", False),
            ("../a2/x", False),
            ("../../other/x", False),
            ("../../../../etc/passwd", False),
            ("/etc/passwd", False),
            ("s3://other/x", True),
            ("s3:/other/x", True),
        ],
    )
    def test_what_lies_in_a_folder(self, store, below, inside):
        folder = path_of("s3://bucket/a")
        assert (folder / below).resolve().is_relative_to(folder) is inside

    @pytest.mark.parametrize("name", ["%2e%2e/x", "%2E./x", "%2e%2e%2fx", "a%2F..%2F..%2Fx", "..%5cx"])
    def test_a_web_server_may_take_escapes_for_what_they_stand_for(self, name):
        folder = RemotePath("https://host/images")
        assert (folder / "50%25.jpg").resolve().is_relative_to(folder)
        assert name == "..%5cx" or not (folder / name).resolve().is_relative_to(folder)

    def test_what_has_led_out_is_not_there(self, store):
        for path in (path_of("s3://bucket") / "../../x", path_of("s3://bucket") / "/etc/passwd"):
            assert not path.exists()
            with pytest.raises(FileNotFoundError):
                path.read_bytes()
        assert not store.requests

    def test_no_file_of_this_machine_is_meant(self, store, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for use in (open, lambda path: path.chmod(0o600), lambda path: path.rename("x"), lambda path: path.touch()):
            with pytest.raises(io.UnsupportedOperation, match=r"is not a file on this machine|for writing"):
                use(path_of("s3://bucket/a/one.jpg"))
        assert not list(tmp_path.iterdir())


class TestReading:
    def test_one_request(self, store):
        path = path_of("s3://bucket/a/one.jpg")
        assert path.read_bytes() == b"one"
        with path.open("rb") as file:
            assert file.read() == b"one"
        assert store.requests == [("GET", "bucket/a/one.jpg")] * 2

    def test_text(self, store):
        path = path_of("s3://bucket/list.txt")
        assert path.read_text(encoding="utf-8").splitlines() == ["first", "second"]
        with path.open(encoding="utf-8") as file:
            assert list(file) == ["first\n", "second"]

    def test_a_stream(self, store):
        with path_of("s3://bucket/list.txt").stream() as file:
            assert (file.read(3), file.seek(6), file.read(), file.read()) == (b"fir", 6, b"second", b"")

    def test_what_is_there(self, store):
        folder = path_of("s3://bucket/a")
        assert [(folder / name).is_file() for name in ("one.jpg", "deep", "x")] == [True, False, False]
        assert [(folder / name).is_dir() for name in ("one.jpg", "deep", "x")] == [False, True, False]
        assert [(folder / name).exists() for name in ("one.jpg", "deep", "x")] == [True, True, False]
        status = (folder / "one.jpg").stat()
        assert (status.st_size, status.st_mtime_ns) == (3, (folder / "one.jpg").facts().modified)
        assert (folder / "one.jpg").facts().size == 3

    @pytest.mark.parametrize("name", ["a\0b", "half \ud800", "long" * 300])
    def test_names_that_no_file_can_have(self, store, name):
        path = path_of("s3://bucket/a") / name
        assert not path.exists()
        with pytest.raises((OSError, ValueError)):
            path.read_bytes()
        assert not store.requests

    def test_a_bucket_is_no_file(self, store):
        bucket = path_of("s3://bucket")
        assert bucket.is_dir()
        for use in (bucket.read_bytes, bucket.stream, bucket.facts):
            with pytest.raises(IsADirectoryError):
                use()

    def test_listing(self, store):
        folder = path_of("s3://bucket")
        assert sorted(map(str, folder.iterdir())) == ["s3://bucket/a", "s3://bucket/list.txt"]
        assert [path.name for path in folder.glob("*.txt")] == ["list.txt"]
        assert [path.name for path in folder.glob("[a]")] == ["a"]
        assert sorted(path.name for path in folder.glob("**/*.[jp]*g")) == ["one.jpg", "two.png"]
        assert [path.name for path in folder.rglob("t*.png")] == ["two.png"]
        assert list((folder / "a").files_below()) == ["deep/two.png", "one.jpg"]
        assert (folder / "a").names() == (["deep"], ["one.jpg"])

    def test_nothing_there(self, store):
        path = path_of("s3://bucket/x")
        assert list(path.glob("*")) == []
        for use in (path.read_bytes, path.stat, path.facts, path.iterdir, path.names, path.files_below):
            with pytest.raises(FileNotFoundError, match=r"No such file or directory: 's3://bucket/x'"):
                use()

    @pytest.mark.parametrize(
        "error", [PermissionError("Forbidden"), OSError(5, "slow down"), RuntimeError("no credentials")]
    )
    def test_a_service_that_fails(self, store, error):
        def fail(verb: str, key: str) -> None:
            raise error

        store.event = staticmethod(fail)
        path = path_of("s3://bucket/a/one.jpg")
        for use in (path.read_bytes, path.exists, path.is_file, path.stat, path.iterdir, path.stream):
            with pytest.raises(SourceError, match=r"s3://bucket/a/one.jpg: the service fails.*(Forb|slow|no cred)"):
                use()
        with pytest.raises(OSError, match=r"Forbidden|slow down|no credentials"):
            path.upload(Path(__file__))

    def test_no_secret_of_a_failure(self, store):
        def fail(verb: str, key: str) -> None:
            raise OSError("cannot reach https://KEY:SECRET@host/?sig=SECRET")

        store.event = staticmethod(fail)
        with pytest.raises(SourceError) as caught:
            path_of("s3://bucket/x").read_bytes()
        assert "SECRET" not in str(caught.value)


class TestOptions:
    def test_a_url_stays_one(self, store):
        made = Options.model_validate({"folder": "s3://bucket/a/../b"}, context={"base": Path("/home")})
        assert repr(made.folder) == "RemotePath('s3://bucket/b')"
        assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301

    def test_local_paths_stay_what_they_are(self, tmp_path):
        made = Options.model_validate({"folder": "a"}, context={"base": tmp_path})
        assert type(made.folder) is type(Path())
        assert made.folder == tmp_path / "a"

    def test_beside_a_remote_configuration(self, store):
        store.put("bucket/set/c.yaml", b"sources: [{adapter: coco, annotations: a.json, images: ../i}]")
        config: Config = load_config("s3://bucket/set/c.yaml")
        options = config.sources[0].options
        assert (str(options.annotations), str(options.images)) == ("s3://bucket/set/a.json", "s3://bucket/i")

    def test_schema_is_that_of_a_path(self):
        assert Options.model_json_schema()["properties"]["folder"]["format"] == "path"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["convert", "configs/coco.yaml", "--output", "OUT"], ["validate", "configs/voc.yaml"]],
    ids=["help", "convert", "validate"],
)
def test_what_is_local_needs_no_fsspec(arguments, tmp_path):
    code = (
        "import sys; from maskflow_convert.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "sys.exit('fsspec' in sys.modules)"
    )
    arguments = [str(tmp_path) if each == "OUT" else each for each in arguments]
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code, *arguments], cwd=root, capture_output=True).returncode == 0
