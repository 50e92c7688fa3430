"""Conversion of XML in encodings that expat cannot read, such as GBK or Shift_JIS, to UTF-8."""

import codecs
import re

from kgcorpus.contracts.errors import InputError

_DECLARED = re.compile(
    rb"""^(?:\xef\xbb\xbf)?<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z][A-Za-z0-9._:-]{0,40})["']"""
)
HEAD_BYTES = 512
# The names that expat knows; it has no aliases such as `UTF8`.
_BUILT_IN = frozenset({"utf-8", "utf-16", "utf-16le", "utf-16be", "us-ascii", "iso-8859-1"})
# Encodings of text in which ASCII is itself. Python's other codecs unpack, or run an alphabet of their own.
_READ = re.compile(
    r"gbk|gb2312|gb18030|big5|big5hkscs|cp950|shift_jis|shift_jis_2004|shift_jisx0213|cp932|euc_jp"
    r"|euc_jis_2004|euc_jisx0213|iso2022_jp|euc_kr|cp949|johab|koi8-[rut]|cp125[0-8]|cp874|tis-620"
    r"|iso8859-\d+|mac-\w+|utf-8|utf-8-sig|ascii"
)


def is_utf8(head: bytes) -> bool:
    """Whether a document is in UTF-8: it declares that or nothing, and no byte of its start is 0.

    Args:
        head: its first bytes, at least `HEAD_BYTES` if it has as many.
    """
    declared = _DECLARED.match(head[:HEAD_BYTES])
    name = declared[1].decode("ascii").lower() if declared else "utf-8"
    return b"\0" not in head[:HEAD_BYTES] and name in ("utf-8", "utf8", "us-ascii")


class Transcoder:
    """Turns the chunks of one XML document into ones that expat reads.

    Args:
        where: name of the input for errors.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._decoder: codecs.IncrementalDecoder | None = None
        self._name = b""
        self._begun = False

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk as it is, or as UTF-8 with its declaration adapted; empty ends the document.

        The first chunk must hold the whole XML declaration.

        Raises:
            InputError: the declared encoding is unknown, or a byte does not belong to it.
        """
        if not self._begun:
            self._begun = True
            self._decoder = self._decoder_for(chunk[:HEAD_BYTES])
            if self._decoder is not None:
                # What expat reads from here on is UTF-8.
                return self._decoded(chunk).replace(self._name, b"utf-8", 1)
        return self._decoded(chunk) if self._decoder is not None else chunk

    def _decoder_for(self, head: bytes) -> codecs.IncrementalDecoder | None:
        if not (found := _DECLARED.match(head)):
            return None
        self._name = found[1]
        name = self._name.decode("ascii")
        try:
            known = codecs.lookup(name).name
        except LookupError:
            known = ""
        if name.lower() in _BUILT_IN:
            return None
        if not _READ.fullmatch(known):
            raise InputError(
                f"the XML declares the encoding {name}, which is not read here",
                where=self._where,
                hint="Convert the dump to UTF-8, e.g. with iconv",
            )
        return codecs.getincrementaldecoder(known)()

    def _decoded(self, chunk: bytes) -> bytes:
        assert self._decoder is not None
        try:
            return self._decoder.decode(chunk, final=not chunk).encode("utf-8")
        except UnicodeError as error:
            raise InputError(
                f"the XML declares the encoding {self._name.decode('ascii')}, but holds other bytes "
                f"({' '.join(str(error).split())[:100]})",
                where=self._where,
                hint="Correct the declaration, or fetch the dump again",
            ) from None
