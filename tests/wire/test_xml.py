"""The strict XML reader and writer (T07, T08, T18)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.wire.xml import Element, XmlLimits, read_xml, write_xml

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn")), max_size=30)
NASTY = st.one_of(TEXT, st.text("<>&\"'\r\n\t ]![CDATA测试€", max_size=20))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.dictionaries(st.sampled_from(("a", "b_1", "c.d", "e-f", "G")), NASTY),
    st.sampled_from(("utf-8", "gbk", "gb18030")),
)
def test_written_is_read(fields: dict[str, str], charset: str) -> None:
    """Any text comes back unchanged, in any charset: what a charset lacks travels as a reference."""
    root = Element("xml", children=tuple(Element(name, value) for name, value in fields.items()))
    assert read_xml(write_xml(root, charset), charset).leaves() == fields


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from(
                ("<a>", "</a>", "<b/>", "<![CDATA[", "]]>", "&amp;", "&#65;", "x", " ", "<!--", "<?xml", "'", '="')
            ),
            max_size=30,
        ).map(lambda parts: "".join(parts).encode()),
    )
)
def test_any_bytes_give_an_element_or_one_error(raw: bytes) -> None:
    """No bytes make the reader raise anything but RemoteProtocolError."""
    try:
        assert isinstance(read_xml(raw), Element)
    except RemoteProtocolError:
        return


def test_unusual_but_right() -> None:
    """CDATA, references, a declaration, blanks around the root and between children, empty elements, line ends."""
    raw = (
        b"\n<?xml version='1.0' encoding=\"UTF-8\"?>\r\n<xml>\r\n <a><![CDATA[1<&]]>2</a>\n"
        b"<b>&#x6d4b;&#35797;&lt;</b>\n<c/> </xml> \n"
    )
    assert read_xml(raw).leaves() == {"a": "1<&2", "b": "测试<", "c": ""}
    assert read_xml(b"<a>1\r\n2\r3</a>").text == "1\n2\n3"


LAUGHS = b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><xml><a>&b;</a></xml>'


@pytest.mark.parametrize(
    "raw",
    [
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><xml/>',
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "http://127.0.0.1:9/">]><xml><a>&e;</a></xml>',
        LAUGHS,
        b"<xml><!-- a --></xml>",
        b"<xml><!ELEMENT a></xml>",
        b"<xml><?php x?></xml>",
        b"<?xml version='1.0'?><?xml version='1.0'?><xml/>",
        b"<?xml version='1.0' encoding='gbk'?><xml/>",
        b"<?xml version='2.0'?><xml/>",
        b"<xml><a>&nbsp;</a></xml>",
        b"<xml><a>a & b</a></xml>",
        b"<xml><a>&#0;</a></xml>",
        b"<xml><a>&#xD800;</a></xml>",
        b"<xml><a>&#1114112;</a></xml>",
        b"<xml><a b='c'>1</a></xml>",
        b"<xml xmlns='x'/>",
        b"<x:xml/>",
        b"<xml><a><b><c/></b></a></xml>",
        b"<xml>text<a/></xml>",
        b"<xml/><xml/>",
        b"<xml/>text",
        b"<xml>",
        b"</xml>",
        b"<xml></XML>",
        b"<![CDATA[x]]>",
        b"<xml><![CDATA[x</xml>",
        b"",
        b"\xff",
        b"\xef\xbb\xbf<xml/>",
        b"<xml>\x00</xml>",
        b"<xml>\x0b</xml>",
        b"<xml a='1' a='2'/>",
        b"<xml>" + b"<a/>" * 300 + b"</xml>",
        b"<a>" * 5_000,
        b"<xml>" + b" " * 70_000 + b"</xml>",
    ],
)
def test_T18_anything_else_is_refused(raw: bytes) -> None:
    """Document types, entities, comments, instructions, namespaces, attributes, depth and size: all refused."""
    with pytest.raises(RemoteProtocolError):
        read_xml(raw)


def test_T07_T08_leaves() -> None:
    """A repeated or nested child is refused when the leaves are wanted."""
    deep = XmlLimits(depth=3)
    assert read_xml(b"<xml><a>1</a></xml>").child("b") is None
    for raw in (b"<xml><a>1</a><a>2</a></xml>", b"<xml><a><b>1</b></a></xml>"):
        with pytest.raises(RemoteProtocolError):
            read_xml(raw, limits=deep).leaves()
    with pytest.raises(RemoteProtocolError):
        read_xml(b"<xml><a>1</a><a>1</a></xml>").child("a")


def test_attributes_where_they_are_named() -> None:
    """Attributes are read on the elements that may have them, and written so that they come back."""
    root = Element("r", children=(Element("param", "v", (), {"name": "a\"<&\n'"}),))
    assert read_xml(write_xml(root), attributed=("param",)) == root
    with pytest.raises(RemoteProtocolError):
        read_xml(b"<r n='1'><param name='x'/></r>", attributed=("param",))


def test_unwritable_text() -> None:
    """Characters that XML does not have are the caller's mistake."""
    for text in ("\x00", "\x1f", "\ud800", "\uffff"):
        with pytest.raises(LocalProtocolError):
            write_xml(Element("a", text))
