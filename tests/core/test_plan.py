"""Splits, order, shards and ids, from nothing but keys."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from maskflow_adapters.shapes import ShapesOptions
from maskflow_convert import Config, Entry, Index
from maskflow_convert.config import Source
from maskflow_convert.errors import ConfigError, PluginError
from maskflow_convert.plan import Plan, estimated_bytes, make_plan

KEYS = [f"image-{number:05d}.jpg" for number in range(10_000)]

GOLDEN = [("train-00000-of-00001", ["b", "d", "a", "g", "f"]), ("val-00000-of-00001", ["h", "e", "c"])]
GOLDEN_DIGEST = "a3be62e8169ae1084e1f0520572b8c4f9fe3a7174e1d3154bd641c1b9348237c"


def configured(n_sources: int = 1, source_splits: tuple[str | None, ...] = (), **sections: Any) -> Config:
    splits = (*source_splits, *[None] * n_sources)[:n_sources]
    sources = [Source(adapter=f"a{n}", split=split, options=ShapesOptions()) for n, split in enumerate(splits)]
    return Config(sources=tuple(sources), **sections)


def index(*entries: Entry[Any] | str, **fields: Any) -> Index[Any]:
    return Index([e if isinstance(e, Entry) else Entry(e, None, **fields) for e in entries], ["x"])


def plan(*indexes: Index[Any], **sections: Any) -> list[tuple[str, list[str]]]:
    """The keys by shard."""
    shards = make_plan(configured(len(indexes), **sections), indexes)
    return [(shard.name, [item.entry.key for item in shard.items]) for shard in shards]


def split_of(shards: list[tuple[str, list[str]]]) -> dict[str, str]:
    return {key: name.partition("-")[0] for name, keys in shards for key in keys}


class TestSplits:
    def test_shares(self):
        counts = Counter(split_of(plan(index(*KEYS), splits={"train": 0.7, "val": 0.2, "test": 0.1})).values())
        for name, share in {"train": 0.7, "val": 0.2, "test": 0.1}.items():
            deviation = (10_000 * share * (1 - share)) ** 0.5
            assert abs(counts[name] - 10_000 * share) < 4 * deviation, name

    def test_whole_and_nothing(self):
        assert set(split_of(plan(index(*KEYS), splits={"none": 0, "all": 1, "nor": 0})).values()) == {"all"}

    def test_seed_draws_anew(self):
        splits = [split_of(plan(index(*KEYS), splits={"train": 0.5, "val": 0.5, "seed": seed})) for seed in (1, 2)]
        same = sum(splits[0][key] == splits[1][key] for key in KEYS)
        assert 4_800 < same < 5_200

    def test_order_is_not_the_split(self):
        """The first half of a shuffled data set is no split of it."""
        shards = plan(index(*KEYS), splits={"train": 0.5, "val": 0.5, "seed": 7}, output={"shuffle": 7})
        train = {key for key, split in split_of(shards).items() if split == "train"}
        everything = [key for _, keys in plan(index(*KEYS), output={"shuffle": 7}) for key in keys]
        assert 2_250 < len(train & set(everything[:5_000])) < 2_750

    def test_more_images_move_no_other(self):
        sections = {"splits": {"train": 0.8, "val": 0.2}, "output": {"shard_size": "100 images"}}
        few, many = plan(index(*KEYS[::2]), **sections), plan(index(*KEYS), **sections)
        assert split_of(few).items() <= split_of(many).items()
        old = set(KEYS[::2])
        for split in ("train", "val"):
            before, after = (
                [key for name, keys in shards if name.startswith(split) for key in keys if key in old]
                for shards in (few, many)
            )
            assert before == after

    @pytest.mark.parametrize(
        ("entry_split", "source_split", "splits", "expected"),
        [
            (None, None, None, "train"),
            ("val", None, None, "val"),
            (None, "test", None, "test"),
            ("val", "test", None, "test"),
            ("val", None, {"all": 1}, "all"),
        ],
    )
    def test_who_says(self, entry_split, source_split, splits, expected):
        shards = plan(index("a", split=entry_split), source_splits=(source_split,), splits=splits)
        assert split_of(shards) == {"a": expected}


class TestOrder:
    def test_shuffled(self):
        keys = [key for _, keys in plan(index(*KEYS)) for key in keys]
        assert sorted(keys) == KEYS
        assert sum(a < b for a, b in pairwise(keys)) == pytest.approx(5_000, abs=250)

    def test_by_seed(self):
        first, again, other = (plan(index(*KEYS), output={"shuffle": seed}) for seed in (1, 1, 2))
        assert first == again != other

    def test_null_keeps_it(self):
        shards = plan(index("c", "a"), index("b"), output={"shuffle": None})
        assert shards == [("train-00000-of-00001", ["c", "a", "b"])]

    def test_is_the_same_for_ever(self):
        """What a published data set relies on: found by running, and not to change."""
        sections = {
            "splits": {"train": 0.5, "val": 0.5, "seed": 7},
            "output": {"shuffle": 7, "shard_size": "10000 images"},
        }
        digest = hashlib.sha256(repr(plan(index(*KEYS), **sections)).encode()).hexdigest()
        assert plan(index(*"abcdefgh"), **sections) == GOLDEN
        assert digest == GOLDEN_DIGEST

    def test_is_the_same_in_every_process(self):
        code = (
            "from core.test_plan import KEYS, index, plan\nprint(plan(index(*KEYS[:500]), splits={'a': .5, 'b': .5}))"
        )
        told = {
            subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                check=True,
                capture_output=True,
            ).stdout
            for seed in ("0", "1")
        }
        assert len(told) == 1
        assert len(told.pop()) > 500

    def test_order_of_splits_is_that_of_the_yaml(self):
        names = [name for name, _ in plan(index(*KEYS[:50]), splits={"z": 0.1, "a": 0.9})]
        assert names == ["z-00000-of-00001", "a-00000-of-00001"]

    def test_same_key_in_two_sources(self):
        shards = make_plan(configured(2), [index("a", "b"), index("b", "a")])
        items = [(item.source, item.entry.key) for item in shards[0].items]
        assert sorted(items) == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]


class TestShards:
    @pytest.mark.parametrize(
        ("images", "size", "lengths"),
        [
            (1, 5, [1]),
            (5, 5, [5]),
            (6, 5, [3, 3]),
            (10, 5, [5, 5]),
            (11, 5, [4, 4, 3]),
            (14, 5, [5, 5, 4]),
            (3, 1, [1, 1, 1]),
        ],
    )
    def test_by_count(self, images, size, lengths):
        shards = plan(index(*KEYS[:images]), output={"shard_size": f"{size} images", "shuffle": None})
        assert [name for name, _ in shards] == [f"train-{n:05d}-of-{len(lengths):05d}" for n in range(len(lengths))]
        assert sorted((len(keys) for _, keys in shards), reverse=True) == lengths
        assert [key for _, keys in shards for key in keys] == KEYS[:images]

    def test_by_size(self):
        """A million pixels are between one and three million bytes of PNG."""
        shards = plan(index(*KEYS[:100], pixels=1_000_000), output={"shard_size": "10 MB"})
        assert 10 <= len(shards) <= 30
        assert {len(keys) for _, keys in shards} <= {n + 100 // len(shards) for n in (0, 1)}

    def test_masks_have_a_size_too(self):
        """Three numbers each, of one byte or two."""
        sizes, counts = zip(
            *(
                (estimated_bytes(entry), len(plan(index(*KEYS[:100], **fields), output={"shard_size": "1 MB"})))
                for fields in ({"pixels": 100_000, "positives": positives} for positives in (0, 50_000, 100_000))
                for entry in [Entry("a", None, **fields)]
            ),
            strict=True,
        )
        assert counts[0] < counts[1] < counts[2]
        assert sizes[2] - sizes[1] == sizes[1] - sizes[0] == pytest.approx(250_000, rel=0.1)

    def test_of_unknown_size(self):
        assert 50 <= len(plan(index(*KEYS[:100]), output={"shard_size": "1 MB"})) <= 100

    def test_a_huge_image_has_a_shard(self):
        entries = [
            Entry("small-1", None, pixels=100),
            Entry("huge", None, pixels=10**9),
            Entry("small-2", None, pixels=100),
        ]
        shards = plan(index(*entries), output={"shard_size": "1 MB", "shuffle": None})
        names = [name for name, _ in shards]
        assert names == [f"train-{n:05d}-of-{len(names):05d}" for n in range(len(names))]
        assert [key for _, keys in shards for key in keys] == ["small-1", "huge", "small-2"]
        assert all(keys for _, keys in shards)

    @pytest.mark.parametrize(
        ("needed", "made"),
        [
            *((1, 1), (2, 2), (3, 4), (4, 4), (5, 6), (6, 6), (7, 8), (8, 8), (9, 10), (14, 14), (15, 16), (16, 16)),
            *((17, 20), (21, 24), (31, 32), (32, 32), (33, 40), (41, 48), (63, 64), (64, 64), (65, 80), (129, 160)),
        ],
    )
    def test_number_divides_well(self, needed, made):
        size = -(-1000 * estimated_bytes(Entry("a", None)) // needed)
        shards = plan(index(*KEYS[:1000]), output={"shard_size": f"{size} B"})
        assert len(shards) == made
        assert {len(keys) for _, keys in shards} <= {1000 // made, 1000 // made + 1}

    @pytest.mark.parametrize("images", range(1, 40))
    def test_no_more_shards_than_images(self, images):
        shards = plan(index(*KEYS[:images]), output={"shard_size": f"{estimated_bytes(Entry('a', None))} B"})
        assert len(shards) == images

    def test_a_number_of_images_is_taken_at_its_word(self):
        assert len(plan(index(*KEYS[:500]), output={"shard_size": "100 images"})) == 5

    def test_beyond_all_measure(self):
        """Sizes that do not fit into 64 bits, or are none."""
        entries = [Entry(f"k{n}", None, pixels=pixels) for n, pixels in enumerate([2**62, 2**70, -5, 100])]
        shards = plan(index(*entries), output={"shard_size": "1 GB", "shuffle": None})
        assert [keys for _, keys in shards] == [["k0"], ["k1"], ["k2", "k3"]]

    def test_no_image(self):
        assert plan(index()) == []
        assert plan(index(), splits={"train": 0.5, "val": 0.5}) == []

    @settings(deadline=None)
    @given(
        st.lists(st.integers(0, 10**7), max_size=60),
        st.one_of(
            st.integers(1, 10**8).map(lambda n: f"{n} B"),
            st.integers(1, 70).map(lambda n: f"{n} images"),
        ),
        st.sampled_from([None, {"train": 0.6, "val": 0.4}]),
        st.sampled_from([None, 3]),
    )
    def test_any(self, pixels, size, splits, shuffle):
        entries = [Entry(f"k{n}", None, pixels=p) for n, p in enumerate(pixels)]
        config = configured(splits=splits, output={"shard_size": size, "shuffle": shuffle})
        shards = make_plan(config, [index(*entries)])
        items = [item for shard in shards for item in shard.items]
        assert sorted(item.image_id for item in items) == list(range(len(pixels)))
        assert all(shard.items for shard in shards)
        assert all(item.split == shard.split for shard in shards for item in shard.items)
        names = [shard.name for shard in shards]
        for split in dict.fromkeys(shard.split for shard in shards):
            own = [shard for shard in shards if shard.split == split]
            assert [shard.name for shard in own] == [f"{split}-{n:05d}-of-{len(own):05d}" for n in range(len(own))]
            if size.endswith("images"):
                lengths = [len(shard.items) for shard in own]
                assert max(lengths) <= int(size.split()[0])
                assert max(lengths) - min(lengths) <= 1
        assert len(set(names)) == len(names)
        assert list(shards) == list(make_plan(config, [index(*entries)]))


class Anew(Sequence[Entry[Any]]):
    """Entries that are made whenever they are asked for, as those of COCO are; `asked` counts how often."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, at: Any) -> Entry[Any]:
        if not 0 <= at < self.count:
            raise IndexError
        self.asked += 1
        return Entry(f"folder/image-{at:07d}.jpg", at, id=None, pixels=300_000)


class TestMadeWhenAskedFor:
    @pytest.fixture
    def shards(self) -> Plan:
        return make_plan(configured(2, output={"shard_size": "30 images"}), [Index(Anew(100), ["x"]), index("a", "b")])

    def test_is_a_sequence_of_shards(self, shards):
        everything = list(shards)
        assert len(shards) == len(everything) == 4
        assert shards.n_images == sum(len(shard.items) for shard in everything) == 102
        assert shards[-1] == everything[3]
        assert shards[1:3] == everything[1:3]
        assert shards[::-2] == everything[::-2]
        for at in (4, -5):
            with pytest.raises(IndexError):
                shards[at]

    def test_a_shard_asks_for_its_own_images(self):
        entries = Anew(1000)
        shards = make_plan(configured(output={"shard_size": "10 images"}), [Index(entries, ["x"])])
        assert entries.asked == 1000
        assert len(shards[7].items) == 10
        assert entries.asked == 1010

    def test_a_shard_pickles_with_its_items(self, shards):
        for shard in shards:
            packed = pickle.dumps(shard)
            assert pickle.loads(packed) == shard  # noqa: S301
            assert len(packed) < 10_000

    def test_memory(self):
        """Some tens of bytes an image while the plan is made, fewer than ten afterwards."""
        config = configured(splits={"train": 0.9, "val": 0.1}, output={"shard_size": "1000 images"})
        make_plan(config, [Index(Anew(10), ["x"])])  # what is kept from the first time on
        tracemalloc.start()
        shards = make_plan(config, [Index(Anew(50_000), ["x"])])
        kept, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert shards.n_images == 50_000
        assert kept < 10 * 50_000
        assert most < 100 * 50_000

    def test_images_are_numbered_through_all_sources(self):
        images = make_plan(configured(4), [index("a", "b"), index(), index("c"), index("d")]).images
        assert [(item.source, item.entry.key) for item in images] == [(0, "a"), (0, "b"), (2, "c"), (3, "d")]
        assert [images[number] for number in range(4)] == list(images)

    def test_entries_that_are_not_as_many_as_they_say(self):
        entries = Anew(5)
        entries.__class__ = type("Miscounted", (Anew,), {"__len__": lambda self: 4})
        with pytest.raises(
            PluginError, match=r"sources\[0\].*: its index\(\) lists 5 entries and says that there are 4"
        ):
            make_plan(configured(2), [Index(entries, ["x"]), index("a")])


class TestSample:
    def drawn(self, count: int, *indexes: Index[Any]) -> list[tuple[str, list[str]]]:
        shards = make_plan(configured(len(indexes), output={"shard_size": "3 images"}), indexes).sampled(count)
        assert shards.n_images == sum(len(shard.items) for shard in shards)
        return [(shard.name, [item.entry.key for item in shard.items]) for shard in shards]

    @pytest.mark.parametrize("count", [0, 1, 4, 19, 20, 21, 10**9])
    def test_is_by_the_hashes_of_the_keys(self, count):
        def digest(key: str) -> int:
            return int.from_bytes(hashlib.blake2b(f"sample\0000\0{key}".encode(), digest_size=8).digest(), "little")

        wanted = sorted(KEYS[:20], key=digest)[:count]
        everything = self.drawn(10**9, index(*KEYS[:20]))
        assert self.drawn(count, index(*KEYS[:20])) == [
            (name, [key for key in keys if key in wanted]) for name, keys in everything
        ]

    def test_of_a_sample(self):
        shards = make_plan(configured(), [index(*KEYS[:50])])
        assert list(shards.sampled(20).sampled(5)) == list(shards.sampled(5))

    def test_of_one_key_in_two_sources_the_first_comes_first(self):
        shards = make_plan(configured(2), [index("a"), index("a")]).sampled(1)
        assert [item.source for shard in shards for item in shard.items] == [0]


class TestIds:
    @pytest.mark.parametrize(
        ("ids", "given_ids", "expected"),
        [
            ("source", [7, 3, 12], [7, 3, 12]),
            ("source", [None, None, None], [0, 1, 2]),
            ("source", [0, None, None], [0, 1, 2]),
            ("source", [-4, 2**62, 5], [-4, 2**62, 5]),
            ("sequential", [7, 3, 12], [0, 1, 2]),
        ],
    )
    def test_ids(self, ids, given_ids, expected):
        entries = [Entry(f"k{n}", None, id=given) for n, given in enumerate(given_ids)]
        shards = make_plan(configured(image={"ids": ids}), [index(*entries)])
        assert {i.entry.key: i.image_id for s in shards for i in s.items} == {
            f"k{n}": e for n, e in enumerate(expected)
        }

    def test_numbers_do_not_follow_the_shuffling(self):
        shards = make_plan(configured(), [index(*KEYS)])
        assert {i.entry.key: i.image_id for s in shards for i in s.items} == {key: n for n, key in enumerate(KEYS)}

    @pytest.mark.parametrize(
        "indexes",
        [
            [index(Entry("a.png", None, id=5)), index(Entry("b.png", None, id=5))],
            [index(Entry("a.png", None, id=1)), index("b.png")],
        ],
        ids=["of two sources", "an id and a number"],
    )
    def test_collision(self, indexes):
        with pytest.raises(ConfigError) as caught:
            plan(*indexes)
        for part in ("a.png of sources[0]", "b.png of sources[1]", "`image.ids: sequential`"):
            assert part in str(caught.value)
        assert len(plan(*indexes, image={"ids": "sequential"})[0][1]) == 2

    def test_a_key_twice(self):
        with pytest.raises(PluginError, match=r"sources\[1\]: adapter a1: its index\(\) lists 'b\.png' twice"):
            plan(index("b.png"), index("a.png", "b.png", "b.png"))

    def test_keys_of_one_hash_are_told_apart(self, monkeypatch):
        monkeypatch.setattr("maskflow_convert.plan.hash", lambda text: 7, raising=False)
        assert len(split_of(plan(index("a.png", "b.png", "c.png")))) == 3
        with pytest.raises(PluginError, match=r"lists 'b\.png' twice"):
            plan(index("a.png", "b.png", "c.png", "b.png"))

    @given(st.lists(st.none() | st.integers(0, 20), max_size=8))
    def test_any(self, given_ids):
        """Ids are unique or refused."""
        entries = [Entry(f"k{n}", None, id=given) for n, given in enumerate(given_ids)]
        wanted = [n if given is None else given for n, given in enumerate(given_ids)]
        if len(set(wanted)) < len(wanted):
            with pytest.raises(ConfigError, match="would both have the image id"):
                plan(index(*entries))
            return
        assume(wanted)
        shards = make_plan(configured(output={"shuffle": None}), [index(*entries)])
        assert [item.image_id for item in shards[0].items] == wanted
