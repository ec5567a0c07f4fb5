"""What a tree shows of a folder: bounded, without a way out, and where images probably are."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from maskflow_convert import Tree, discovery
from maskflow_convert.discovery import by_split, family_of, split_named


def make(root: Path, *paths: str) -> Path:
    """Files of these paths; one that ends in `/` is a folder."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            (root / path).mkdir(exist_ok=True)
        else:
            (root / path).write_text(path)
    return root.resolve()


def told(tree: Tree, *suffixes: str) -> list[str]:
    return [tree.told(path) for path in tree.files(*suffixes)]


class TestTree:
    def test_files_by_suffix(self, tmp_path):
        tree = Tree.of(make(tmp_path, "b.json", "a.JSON", "x/c.json", "x/d.png", "e", ".hidden.json", ".git/f.json"))
        assert told(tree, ".json") == ["a.JSON", "b.json", "x/c.json"]
        assert told(tree, ".png", ".json") == ["a.JSON", "b.json", "x/c.json", "x/d.png"]
        assert [tree.told(folder) for folder in tree.folders_with(".json")] == [".", "x"]
        assert tree.count(tree.root, ".json", ".png") == 2
        assert tree.count(tree.root / "none", ".json") == 0
        assert tree.n_files == 5
        assert tree.unseen == []

    def test_outer_folders_come_first(self, tmp_path):
        tree = Tree.of(make(tmp_path, "a/b/c/x.json", "d/y.json"))
        assert [tree.told(folder) for folder in tree.folders] == [".", "a", "d", "a/b", "a/b/c"]

    def test_many_files_are_counted_and_the_first_kept(self, tmp_path, monkeypatch):
        monkeypatch.setattr(discovery, "_MOST_NAMES", 3)
        tree = Tree.of(make(tmp_path, *(f"{n}.xml" for n in range(9))))
        assert told(tree, ".xml") == ["0.xml", "1.xml", "2.xml"]
        assert tree.count(tree.root, ".xml") == tree.n_files == 9

    def test_more_files_than_are_listed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(discovery, "_MOST_FILES", 5)
        tree = Tree.of(make(tmp_path, *(f"{n}.xml" for n in range(4)), *(f"x/{n}.xml" for n in range(9)), "y/a.xml"))
        assert tree.n_files == 5
        assert tree.unseen == ["There are more than the 5 files that were listed; name an inner folder to see others."]

    def test_more_folders_than_are_listed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(discovery, "_MOST_FOLDERS", 3)
        tree = Tree.of(make(tmp_path, *(f"{n}/" for n in range(9))))
        assert len(tree.folders) == 3
        assert "There are more than" in tree.unseen[0]

    def test_a_deep_tree(self, tmp_path):
        tree = Tree.of(make(tmp_path, "/".join("x" * 40) + "/a.json"))
        assert len(tree.folders) == 17
        assert tree.unseen == [f"Folders more than 16 levels down were not looked into: {'/'.join('x' * 17)}."]

    def test_a_folder_that_cannot_be_listed(self, tmp_path, monkeypatch):
        root = make(tmp_path, "closed/a.json", "open/b.json")
        scandir = os.scandir

        def refusing(path):
            if Path(path).name == "closed":
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refusing)
        tree = Tree.of(root)
        assert told(tree, ".json") == ["open/b.json"]
        assert tree.unseen == ["closed cannot be listed: Permission denied."]

    @pytest.mark.parametrize("name", ["nowhere", "a.json"])
    def test_no_folder(self, tmp_path, name):
        make(tmp_path, "a.json")
        with pytest.raises(OSError, match=r"No such file|Not a directory"):
            Tree.of(tmp_path / name)

    def test_what_is_passed_over(self, tmp_path):
        root = make(tmp_path, "a.json", "out/b.json", "out/in/c.json", "out/x.tfrecord")
        tree = Tree.of(root, pass_over=lambda names: "x.tfrecord" in names)
        assert told(tree, ".json") == ["a.json"]


class TestLinks:
    @pytest.fixture
    def tree(self, tmp_path):
        make(tmp_path, "data/a.json", "data/in/b.json", "outside/c.json")
        data = tmp_path / "data"
        (data / "file-within.json").symlink_to(data / "in/b.json")
        (data / "file-without.json").symlink_to(tmp_path / "outside/c.json")
        (data / "folder-within").symlink_to(data / "in")
        (data / "folder-without").symlink_to(tmp_path / "outside")
        (data / "in/circle").symlink_to(data)
        (data / "self.json").symlink_to(data / "self.json")
        (data / "nowhere.json").symlink_to(data / "none.json")
        return Tree.of(data)

    def test_none_leads_out(self, tree):
        assert told(tree, ".json") == ["a.json", "file-within.json", "in/b.json"]
        assert [tree.told(folder) for folder in tree.folders] == [".", "in"]
        [sentence] = tree.unseen
        assert sentence.startswith("Links that lead elsewhere were not followed: ")

    def test_the_folder_itself_may_be_one(self, tree, tmp_path):
        (tmp_path / "link").symlink_to(tree.root)
        assert Tree.of(tmp_path / "link").root == tree.root

    @pytest.mark.parametrize(
        ("path", "there"),
        [
            ("a.json", True),
            ("in/../a.json", True),
            ("file-within.json", True),
            ("folder-within/b.json", True),
            ("file-without.json", False),
            ("folder-without/c.json", False),
            ("../outside/c.json", False),
            ("in", False),
            ("self.json", False),
            ("none.json", False),
            ("a\0.json", False),
            ("x" * 300, False),
        ],
    )
    def test_has_file(self, tree, path, there):
        assert tree.has_file(tree.root / path) == there
        assert bool(tree.head(tree.root / path)) == there

    def test_a_pipe_is_no_file(self, tmp_path):
        os.mkfifo(tmp_path / "p.json")
        tree = Tree.of(tmp_path)
        assert told(tree, ".json") == []
        assert tree.head(tmp_path.resolve() / "p.json") == b""


def test_head(tmp_path):
    root = make(tmp_path, "a.json")
    assert Tree.of(root).head(root / "a.json", 3) == b"a.j"


class TestHomeOf:
    @pytest.mark.parametrize(
        ("files", "near", "split", "home"),
        [
            (["images/a.png"], "", None, "images"),
            (["a.png", "images/a.png"], "", None, "."),
            (["train2017/a.png", "annotations/"], "annotations", "train", "train2017"),
            (["images/train/a.png", "images/val/a.png", "annotations/"], "annotations", "val", "images/val"),
            (["masks/a.png", "images/a.png"], "", None, "images"),
            (["masks/train/a.png", "images/train/a.png"], "", "train", "images/train"),
            (["annotations/panoptic_train/a.png", "images/train/a.png"], "annotations", "train", "images/train"),
            (["instance_png/a.png", "x/a.png"], "", None, "x"),
            (["one/images/a.png", "two/images/a.png"], "two", None, "two/images"),
            (["one/train/a.png", "two/images/a.png", "two/annotations/"], "two/annotations", "train", "two/images"),
            (["masks/a.png"], "", None, "masks"),
            (["b.png"], "", None, None),
        ],
    )
    def test_the_most_likely_folder(self, tmp_path, files, near, split, home):
        tree = Tree.of(make(tmp_path, *files))
        found = tree.home_of(["a.png"], near=tree.root / near, split=split)
        assert (found and (tree.told(found[0]), found[1])) == (home and (home, 1))

    def test_the_folder_that_has_most(self, tmp_path):
        tree = Tree.of(make(tmp_path, "few/a.png", "many/a.png", "many/b.png"))
        assert tree.home_of(["a.png", "b.png", "c.png"], near=tree.root) == (tree.root / "many", 2)

    def test_another_folder(self, tmp_path):
        tree = Tree.of(make(tmp_path, "few/a.png", "many/a.png", "many/b.png"))
        found = tree.home_of(["a.png", "b.png"], near=tree.root, other_than=[tree.root / "many", None])
        assert found == (tree.root / "few", 1)

    def test_names_with_folders(self, tmp_path):
        tree = Tree.of(make(tmp_path, "x/data/batch_1/a.png", "annotations/"))
        assert tree.home_of(["batch_1/a.png"], near=tree.root / "annotations") == (tree.root / "x/data", 1)

    def test_names_are_tried_where_their_folders_are(self, tmp_path, monkeypatch):
        """Twenty names of each of 300 COCO files would be looked for in a thousand folders."""
        tree = Tree.of(make(tmp_path, "x/im/a.png", "x/im/b.png", *(f"{number}/" for number in range(50))))
        tried = []
        has_file = Tree.has_file
        monkeypatch.setattr(Tree, "has_file", lambda tree, path: (tried.append(path), has_file(tree, path))[1])
        names = ["im/a.png", "im/b.png", "im/c.png"]
        assert tree.home_of(names, near=tree.root) == (tree.root / "x", 2)
        assert tried == [tree.root / "x" / name for name in names]

    def test_names_that_lead_out(self, tmp_path):
        make(tmp_path, "data/images/", "a.png")
        tree = Tree.of(tmp_path / "data")
        assert tree.home_of(["../../a.png", "/etc/passwd", "../a.png"], near=tree.root) is None


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("instances_train2017.json", "train"),
        ("valid/_annotations.coco.json", "val"),
        ("annotations/validation.json", "val"),
        ("train/test.json", "test"),
        ("Training", "train"),
        ("image_info_test-dev2017.json", "test"),
        ("trainval.json", None),
        ("trained.json", None),
        ("contest.json", None),
        ("interval_2.json", None),
        ("default.json", None),
    ],
)
def test_split_named(name, split):
    assert split_named(name) == split


def test_families():
    assert family_of(PurePosixPath("Valid/_annotations.coco.json")) == "*/_annotations.coco.json"
    one, other, older = (
        family_of(PurePosixPath(f"annotations/instances_{name}.json")) for name in ("train2017", "val2017", "train2014")
    )
    assert one == other == "annotations/instances_*2017.json"
    assert older != one


@pytest.mark.parametrize(
    ("folders", "parts"),
    [
        (["train", "valid"], {"train": "train", "val": "valid"}),
        (["train/a", "train/b", "test"], {"train": "train", "test": "test"}),
        (["train", "extra"], {None: "."}),
        (["a/x", "a/y"], {None: "a"}),
        (["a"], {None: "a"}),
        (["."], {None: "."}),
    ],
)
def test_by_split(tmp_path, folders, parts):
    tree = Tree.of(tmp_path)
    found = by_split(tree, [tree.root / folder for folder in folders])
    assert {split: tree.told(folder) for split, folder in found.items()} == parts


def test_of_each_split_the_common_folder_is_found_once(monkeypatch):
    made = []
    monkeypatch.setattr(discovery, "_common", lambda folders: (made.append(len(folders)), folders[0])[1])
    folders = [Path(f"/root/{split}/{number}") for split in ("train", "val") for number in range(50)]
    found = by_split(Tree(Path("/root"), {}), folders)
    assert found == {"train": folders[0], "val": folders[50]}
    assert made == [50, 50]
