"""Characters that typography writes in place of an ASCII character; Unicode's NFKC leaves them apart."""

from collections.abc import Mapping

VARIANTS: Mapping[str, str] = {
    "'": "\u2018\u2019\u201b\u02bc\u2032\u0060\u00b4",
    '"': "\u201c\u201d\u201f\u00ab\u00bb\u2033",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2212",
}
PLAIN: Mapping[str, str] = {variant: plain for plain, variants in VARIANTS.items() for variant in variants}
