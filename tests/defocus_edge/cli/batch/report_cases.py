"""What the tests of the report share: work on real pictures without networks, and a parser of the page."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

import cv2
import numpy as np

from defocus_edge.cli.batch.work import PictureWork
from defocus_edge.files.images import read_image
from defocus_edge.files.maps import write_map

VOID = {"meta", "input", "img", "link", "br"}


class GreyWork(PictureWork):
    """Writes a map that follows from the brightness of the picture: 0 to 8 px."""

    def write_outputs(self, item, screen):  # noqa: ARG002 - of the method that it replaces
        write_map(item.outputs["map"], 8 * read_image(item.source, page=item.page).mean(axis=2))


class Page(HTMLParser):
    """Tags with their attributes, texts of table cells, and whether every tag is closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.rows, self.open, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)
            if {"td", "th"} & set(self.open):
                self.rows[-1][-1] += data

    def find(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def read_pictures(self):
        """Shapes of the pictures inside."""
        shapes = []
        for image in self.find("img"):
            kind, _, data = image["src"].partition(",")
            assert kind == "data:image/jpeg;base64"
            shapes.append(cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR).shape[:2])
            assert shapes[-1] == (int(image["height"]), int(image["width"]))
        return shapes


def read_page(path):
    return Page(path.read_text(encoding="utf-8"))
