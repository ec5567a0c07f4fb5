"""Numbers as people say them: of things, of bytes, in a hundred."""

from __future__ import annotations


def count_text(number: int, noun: str) -> str:
    """A number of things: 1 image, 1,200 images."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size_text(size: float) -> str:
    """A number of bytes: 512 B, 3.4 MB."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def percent(part: int, whole: int) -> str:
    """A share, with a decimal where it is near none or all: 0.3 %, 42 %."""
    share = 100 * part / whole
    return f"{share:.1f} %" if 0 < share < 10 or 99 < share < 100 else f"{share:.0f} %"


def short_text(number: int) -> str:
    """A number in four characters or so: 950, 1.5k, 65k, 1M."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            tenths = number * 10 // size
            return f"{tenths // 10}.{tenths % 10}{unit}" if tenths < 100 and tenths % 10 else f"{tenths // 10}{unit}"
    return str(number)
