use super::{json, multipart, urlencoded, xml};
use crate::names::Collection;

fn flat(text: &str) -> (Vec<String>, Result<(), &'static str>) {
    let mut pairs = Vec::new();
    let result = json::flatten(text.as_bytes(), 4, 100, &mut pairs);
    (
        pairs
            .iter()
            .map(|(name, value)| format!("{}={}", name.escape_ascii(), String::from_utf8_lossy(value)))
            .collect(),
        result,
    )
}

#[test]
fn json_is_named_by_its_path() {
    let (pairs, result) = flat(
        r#" {"a":{"b":[1,{"c":true},[null]]},"":-1.5e3,"e":{},"f":[],"a":"\u00e9\ud83c\udf55\ud800x\n"} "#,
    );
    assert_eq!(result, Ok(()));
    assert_eq!(
        pairs,
        [
            "json.a.b=",
            "json.a.b.array_0=1",
            "json.a.b.array_1.c=true",
            "json.a.b.array_2=",
            "json.a.b.array_2.array_0=",
            "json.empty-key=-1.5e3",
            "json.e=",
            "json.f=",
            "json.a=é🍕\u{fffd}x\n",
        ]
    );
    assert_eq!(flat("[1,\"x\"]").0, ["json.array_0=1", "json.array_1=x"]);
    assert_eq!(flat("\"x\"").0, ["json=x"]);
}

#[test]
fn json_keeps_to_rfc_8259() {
    for text in [
        "",
        "{",
        "{\"a\"}",
        "{\"a\":1,}",
        "[1,]",
        "[1 2]",
        "01",
        "1.",
        "-",
        "+1",
        "1e",
        "nul",
        "\"a",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "{a:1}",
        "1 2",
        "{'a':1}",
        "[1]]",
        "NaN",
    ] {
        assert!(flat(text).1.is_err(), "{text}");
    }
    let mut pairs = Vec::new();
    assert_eq!(json::flatten(b"[1,\"\xff\"]", 4, 100, &mut pairs), Err("a string is not UTF-8"));
    assert_eq!(pairs.len(), 1, "what stands before the mistake is kept");
}

#[test]
fn json_is_bounded_in_depth_and_number() {
    assert_eq!(flat("[[[[1]]]]").1, Ok(()));
    assert_eq!(flat("[[[[[1]]]]]").1, Err(json::DEEP));
    let mut pairs = Vec::new();
    let deep = "[".repeat(5_000_000);
    assert_eq!(json::flatten(deep.as_bytes(), 128, 1_000, &mut pairs), Err(json::DEEP));
    pairs.clear();
    let wide = format!("[{}1]", "1,".repeat(200_000));
    assert_eq!(json::flatten(wide.as_bytes(), 128, 50, &mut pairs), Ok(()));
    assert_eq!(pairs.len(), 50);
}

#[test]
fn forms_are_decoded_and_mistakes_noticed() {
    let mut invalid = false;
    let pairs = urlencoded::pairs(b"a=1&&b&=c&d=%41+%2b=&%00=\xff", b'&', &mut invalid);
    let shown: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
        .collect();
    assert_eq!(shown, ["a=1", "b=", "=c", "d=A +=", "\\x00=\\xff"]);
    assert!(!invalid);
    urlencoded::pairs(b"a=%4", b'&', &mut invalid);
    assert!(invalid);
}

fn read(text: &str) -> xml::Document {
    xml::read(text.as_bytes(), 4, 3)
}

#[test]
fn xml_is_its_text_and_the_values_of_its_attributes() {
    let document = read(
        "<?xml version=\"1.0\" encoding='UTF-8'?><!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>\n<a b='1 &lt; 2' c=\"&#x41;\">t<!-- no --><d/>&amp;&x;<![CDATA[<raw>]]></a>\n",
    );
    assert_eq!(String::from_utf8_lossy(&document.text).trim(), "t&&x;<raw>");
    assert_eq!(document.attributes, [b"1 < 2".to_vec(), b"A".to_vec()]);
    assert_eq!(document.error, None);
    let wide: Vec<u8> = "\u{feff}<a>ab</a>".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(xml::read(&wide, 4, 3).text, b"ab");
}

#[test]
fn malformed_xml_is_told_and_read_all_the_same() {
    for (text, error) in [
        ("<a>x</b>", "an end tag closes no element"),
        ("<a>x", "it ends before its root element does"),
        ("<a></a><b>x</b>", "there is more than one root element"),
        ("<a b=x>x</a>", "the value of an attribute is not in quotes"),
        ("x<a/>", "text stands outside the root element"),
        ("<?xml encoding=\"utf-7\"?><a>x</a>", "its encoding is not supported"),
        ("<a \"=\">x</a>", "a tag holds what is no attribute"),
        ("<a><!-- x", "it ends inside a mark"),
    ] {
        let document = read(text);
        assert_eq!(document.error, Some(error), "{text}");
        assert!(document.text.contains(&b'x') || text.contains("<!--"), "{text}");
    }
    assert_eq!(read(&"<a>".repeat(100_000)).error, Some(xml::DEEP));
    let many = read("<a b='1' c='2' d='3' e='4'/>");
    assert_eq!((many.error, many.attributes.len()), (Some(xml::MANY), 3));
}

fn form<'a>(content_type: &str, body: &'a str) -> multipart::Form<'a> {
    multipart::read(content_type.as_bytes(), body.as_bytes(), 2, 5)
}

/// The variables that are raised.
fn raised(content_type: &str, body: &str) -> Vec<&'static str> {
    let form = form(content_type, body);
    form.flags
        .list()
        .iter()
        .filter(|(_, raised)| *raised)
        .map(|(flag, _): &(Collection, bool)| flag.name())
        .collect()
}

const TYPE: &str = "multipart/form-data; boundary=b";

#[test]
fn a_form_has_fields_and_files() {
    let body = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n2\r\n--b\r\ncontent-disposition: form-data; name=f; filename=\"x\\\"y;.php\"\r\nContent-Type: image/png\r\n\r\n\r\n--b--\r\n";
    let form = form(TYPE, body);
    assert_eq!((form.error, form.parts.len()), (None, 2));
    assert_eq!((form.parts[0].name.as_slice(), form.parts[0].content), (&b"a"[..], &b"1\r\n2"[..]));
    assert_eq!(form.parts[1].filename.as_deref(), Some(&b"x\"y;.php"[..]));
    assert_eq!((form.parts[1].headers.len(), form.parts[1].content), (2, &b""[..]));
    assert_eq!(raised(TYPE, body), Vec::<&str>::new());
}

#[test]
fn what_two_readers_could_read_differently_raises_a_flag() {
    let part = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
    let strict = "MULTIPART_STRICT_ERROR";
    for (content_type, body, flag) in [
        ("multipart/form-data; boundary=\"b\"", format!("{part}--b--"), "MULTIPART_BOUNDARY_QUOTED"),
        ("multipart/form-data; boundary = b", format!("{part}--b--"), "MULTIPART_BOUNDARY_WHITESPACE"),
        ("multipart/form-data boundary=b", format!("{part}--b--"), "MULTIPART_MISSING_SEMICOLON"),
        (TYPE, format!("x\r\n{part}--b--"), "MULTIPART_DATA_BEFORE"),
        (TYPE, format!("{part}--b--\r\nx"), "MULTIPART_DATA_AFTER"),
        (TYPE, format!("{}--b--", part.replace("\r\n", "\n")), "MULTIPART_LF_LINE"),
        (TYPE, format!("{part}--bx\r\n"), "MULTIPART_INVALID_PART"),
        (TYPE, part.to_owned(), "MULTIPART_INVALID_PART"),
        (TYPE, format!("{}--b--", part.replace("name=\"a\"", "name='a'")), "MULTIPART_INVALID_QUOTING"),
        (TYPE, format!("{}--b--", part.replace("\"a\"", "\"a\"; name=\"b\"")), "MULTIPART_INVALID_PART"),
        (TYPE, format!("{}--b--", part.replace("; name", ";\r\n name")), "MULTIPART_HEADER_FOLDING"),
    ] {
        let raised = raised(content_type, &body);
        assert!(
            raised.contains(&flag) && raised.contains(&strict),
            "{flag}: {raised:?} of {content_type} {body}"
        );
    }
    assert!(
        raised(TYPE, &format!("{}--b--", part.replace("1\r\n", "--c\r\n")))
            .contains(&"MULTIPART_UNMATCHED_BOUNDARY")
    );
    assert_eq!(
        form("multipart/form-data; boundary=b; boundary=c", part).error,
        Some("the content type names no boundary")
    );
}

#[test]
fn parts_and_files_are_bounded() {
    let part = |name: &str| format!("--b\r\nContent-Disposition: form-data; name=\"a\"{name}\r\n\r\n1\r\n");
    let files = part("; filename=\"x\"").repeat(4) + "--b--";
    assert_eq!(form(TYPE, &files).parts.len(), 2);
    assert!(raised(TYPE, &files).contains(&"MULTIPART_FILE_LIMIT_EXCEEDED"));
    let fields = part("").repeat(9) + "--b--";
    assert_eq!(
        (form(TYPE, &fields).parts.len(), form(TYPE, &fields).error),
        (5, Some("it has too many parts"))
    );
}
