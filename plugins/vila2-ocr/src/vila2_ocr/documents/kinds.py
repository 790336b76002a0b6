"""The kinds of documents: each gives a sheet with its texts, and the named fields of the document."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from vila2_ocr.documents.sheet import Sheet
from vila2_ocr.documents.words import CITIES, COLOURS, ITEMS, NAMES, NOTICES, SHOPS, STREETS, TOPICS

Fields = dict[str, str]


def receipt(random: Random) -> tuple[Sheet, Fields]:
    """A shop's receipt: head, date, items with prices, total, cash and change, a line of thanks."""
    size, width = random.randint(14, 18), random.randint(340, 420)
    step = round(size * 1.7)
    items = random.sample(ITEMS, random.randint(2, 7))
    cents = [random.randint(50, 4999) for _ in items]
    total = sum(cents)
    cash = -(-total // 500) * 500 + random.choice((0, 500, 1000))
    company = f"{random.choice(NAMES)} {random.choice(SHOPS)}"
    address = f"{random.randint(1, 299)} {random.choice(STREETS)}, {random.choice(CITIES)}"
    date = f"{random.randint(1, 28):02d}/{random.randint(1, 12):02d}/{random.randint(2005, 2029)}"
    sheet = Sheet(width, step * (len(items) + 10) + size, (250, 249, 245))
    y = step // 2
    sheet.write(company.upper(), width / 2, y, size + 8, kind="title", anchor="middle")
    y += step + 10
    sheet.write(address, width / 2, y, size - 2, kind="line", anchor="middle")
    y += step
    sheet.write(f"Date: {date}", 20, y, size, kind="line")
    y += 2 * step
    for item, price in zip(items, cents, strict=True):
        sheet.write(item, 20, y, size, kind="line")
        sheet.write(_money(price), width - 20, y, size, kind="line", anchor="right")
        y += step
    sheet.pen.line((20, y + step // 3, width - 20, y + step // 3), fill=(90, 90, 90))
    y += step
    for key, value in (("Total:", total), ("Cash:", cash), ("Change:", cash - total)):
        sheet.write(key, 20, y, size, kind="line")
        sheet.write(_money(value), width - 20, y, size, kind="line", anchor="right")
        y += step
    sheet.write("Thank you", width / 2, y + step // 2, size, kind="line", anchor="middle")
    return sheet, {"company": company.upper(), "address": address, "date": date, "total": _money(total)}


def table(random: Random) -> tuple[Sheet, Fields]:
    """A table of numbers with headers, and a title over it."""
    size = random.randint(15, 19)
    step, column_width = round(size * 2.0), size * 6
    rows = random.sample(random.choice((NAMES, CITIES, ITEMS)), random.randint(3, 6))
    columns = random.sample(TOPICS, random.randint(2, 4))
    head = size * max(map(len, rows)) * 0.7 + 30
    sheet = Sheet(round(head + column_width * len(columns) + 20), step * (len(rows) + 3) + 10)
    title = f"{random.choice(TOPICS)} {random.randint(1990, 2029)}"
    sheet.write(title, sheet.width / 2, step // 3, size + 8, kind="title", anchor="middle")
    top = round(step * 1.7)
    for number, column in enumerate(columns):
        x = head + column_width * (number + 0.5)
        sheet.write(column, x, top, size, kind="column", anchor="middle", ink=(30, 30, 110))
    sheet.pen.line((15, top + step - 6, sheet.width - 15, top + step - 6), fill=(60, 60, 60), width=2)
    for place, row in enumerate(rows, start=1):
        y = top + step * place
        sheet.write(row, 20, y, size, kind="row")
        for number in range(len(columns)):
            x = head + column_width * (number + 0.5)
            sheet.write(str(random.randint(1, 999)), x, y, size, kind="cell", anchor="middle")
    return sheet, {"title": title}


def chart(random: Random) -> tuple[Sheet, Fields]:
    """Bars with their values over them and their categories below."""
    size = random.randint(14, 17)
    names = random.sample(random.choice((NAMES, CITIES, COLOURS)), random.randint(3, 6))
    values = random.sample(range(5, 400), len(names))
    step = round(size * max(map(len, names)) * 0.62) + 24
    sheet = Sheet(step * len(names) + 60, 340)
    title = f"{random.choice(TOPICS)} by {random.choice(('name', 'group', 'class'))}"
    sheet.write(title, sheet.width / 2, 8, size + 6, kind="title", anchor="middle")
    foot, highest = 290, 220
    for number, (name, value) in enumerate(zip(names, values, strict=True)):
        middle = 40 + step * (number + 0.5)
        top = foot - round(highest * value / max(values))
        ink = tuple(random.randint(40, 190) for _ in range(3))
        sheet.pen.rectangle((middle - step * 0.32, top, middle + step * 0.32, foot), fill=ink)
        sheet.write(str(value), middle, top - size - 6, size, kind="value", anchor="middle")
        sheet.write(name, middle, foot + 8, size, kind="category", anchor="middle")
    sheet.pen.line((34, foot, sheet.width - 16, foot), fill=(20, 20, 20), width=2)
    return sheet, {"title": title}


def sign(random: Random) -> tuple[Sheet, Fields]:
    """A sign with one to three lines, the first of them largest."""
    lines = [random.choice(NOTICES).upper()]
    more = (f"{random.choice(STREETS)}", f"{random.randint(2, 90)} km", random.choice(CITIES))
    lines += random.sample(more, random.randint(0, 2))
    size = random.randint(34, 44)
    ground = (random.randint(0, 110), random.randint(0, 110), random.randint(0, 110))
    sizes = [size] + [round(size * 0.6)] * (len(lines) - 1)
    longest = max(len(line) * own for line, own in zip(lines, sizes, strict=True))
    sheet = Sheet(round(longest * 0.8) + 60, round(sum(sizes) * 1.5) + 40, ground)
    sheet.pen.rectangle((8, 8, sheet.width - 9, sheet.height - 9), outline=(240, 240, 240), width=3)
    y = 22.0
    for line, own in zip(lines, sizes, strict=True):
        sheet.write(line, sheet.width / 2, y, own, kind="line", anchor="middle", ink=(245, 245, 245))
        y += own * 1.5
    return sheet, {}


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


KINDS: dict[str, Callable[[Random], tuple[Sheet, Fields]]] = {
    "receipt": receipt,
    "table": table,
    "chart": chart,
    "sign": sign,
}
