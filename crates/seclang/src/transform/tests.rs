use super::*;

/// The longest result for each byte of input: `utf8toUnicode` of two bytes is six.
const GROWTH: usize = 4;

fn check(step: Transform, cases: &[(&[u8], &[u8])]) {
    for (input, expected) in cases {
        let mut out = Vec::new();
        apply(step, input, &mut out);
        assert_eq!(
            out.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "{}({})",
            step.name(),
            input.escape_ascii()
        );
    }
}

#[test]
fn url_escapes() {
    check(
        Transform::UrlDecodeUni,
        &[
            (b"a%2eb+c", b"a.b c"),
            (b"%u002e%U002E%uff0e", b"..."),
            (b"%u00", b"%u00"),
            (b"%zz%4", b"%zz%4"),
            (b"%00", b"\0"),
        ],
    );
    check(Transform::UrlDecode, &[(b"%u002e%41", b"%u002eA")]);
    check(Transform::UrlEncode, &[(b"a b*/", b"a+b*%2f")]);
}

#[test]
fn html_entities() {
    check(
        Transform::HtmlEntityDecode,
        &[
            (b"&lt;&GT&quot;&amp;lt;", b"<>\"&lt;"),
            (b"&#60;&#x3c&#X3C;", b"<<<"),
            (b"&#;&#x;&bogus;&", b"&#;&#x;&bogus;&"),
            (b"&nbsp;", b"\xa0"),
        ],
    );
}

#[test]
fn javascript_escapes() {
    check(
        Transform::JsDecode,
        &[
            (b"\\u0061\\uff21\\x62\\143\\n\\q\\\\", b"aAbc\nq\\"),
            (b"\\u00\\x6\\8\\", b"u00x68\\"),
            (b"\\400", b" 0"),
        ],
    );
}

#[test]
fn css_escapes() {
    check(
        Transform::CssDecode,
        &[
            (b"\\61 \\00062\\0063\\a\\\nx\\z", b"abc\nxz"),
            (b"\\ff21x\\", b"Ax"),
            (b"jav\\61script", b"javascript"),
        ],
    );
    check(Transform::CssDecode, &[(b"ja\\vascript", b"javascript")]);
}

#[test]
fn c_escapes() {
    check(Transform::EscapeSeqDecode, &[(b"\\x41\\101\\t\\?\\'\\z\\", b"AA\t?'z\\")]);
}

#[test]
fn base64() {
    check(Transform::Base64Decode, &[(b"aGVsbG8=", b"hello"), (b"aGVs!bG8=", b"hel"), (b"", b"")]);
    check(Transform::Base64DecodeExt, &[(b"aG-Vs.bG8", b"hello")]);
    check(Transform::Base64Encode, &[(b"hello", b"aGVsbG8="), (b"hell", b"aGVsbA=="), (b"hel", b"aGVs")]);
}

#[test]
fn hexadecimal_and_hashes() {
    check(Transform::HexEncode, &[(b"\x00\xff", b"00ff")]);
    check(Transform::HexDecode, &[(b"6162", b"ab"), (b"616", b"a")]);
    check(Transform::SqlHexDecode, &[(b"x=0x6162,0x4", b"x=ab,0x4")]);
    let mut out = Vec::new();
    apply(Transform::Sha1, b"abc", &mut out);
    let mut shown = Vec::new();
    apply(Transform::HexEncode, &out, &mut shown);
    assert_eq!(shown, b"a9993e364706816aba3e25717850c26c9cd0d89d");
    out.clear();
    apply(Transform::Md5, b"abc", &mut out);
    assert_eq!(out.len(), 16);
}

#[test]
fn comments() {
    check(Transform::ReplaceComments, &[(b"a/*x*/b/**/c*/d/*e", b"a b c*/d ")]);
    check(Transform::RemoveComments, &[(b"a/*x*/b<!--y-->c--d", b"abc"), (b"a#b", b"a"), (b"a/*b", b"a ")]);
    check(Transform::RemoveCommentsChar, &[(b"a/*x*/<!--y-->#--z", b"axyz")]);
}

#[test]
fn paths() {
    check(
        Transform::NormalizePath,
        &[
            (b"/a/./b//../c/", b"/a/c/"),
            (b"../../a/../b", b"../../b"),
            (b"/../../etc/passwd", b"/etc/passwd"),
            (b"a\\..\\b", b"a\\..\\b"),
            (b"/", b"/"),
            (b"", b""),
            (b"a/..", b""),
        ],
    );
    check(Transform::NormalizePathWin, &[(b"\\a\\..\\b", b"/b")]);
}

#[test]
fn spaces_and_case() {
    check(Transform::CompressWhitespace, &[(b" a\t\n b ", b" a b ")]);
    check(Transform::RemoveWhitespace, &[(b" a\t\n b\x0b\xa0", b"ab")]);
    check(Transform::Trim, &[(b" a b ", b"a b"), (b"  ", b"")]);
    check(Transform::TrimLeft, &[(b" a ", b"a ")]);
    check(Transform::TrimRight, &[(b" a ", b" a")]);
    check(Transform::CmdLine, &[(b"C^md.\"Exe\" ,; /c (x)", b"cmd.exe/c(x)")]);
    check(Transform::Lowercase, &[(b"AbC\xc3", b"abc\xc3")]);
    check(Transform::ReplaceNulls, &[(b"a\0b", b"a b")]);
    check(Transform::RemoveNulls, &[(b"a\0b", b"ab")]);
    check(Transform::ParityEven7bit, &[(b"\x01\x03", b"\x81\x03")]);
    check(Transform::ParityOdd7bit, &[(b"\x01\x03", b"\x01\x83")]);
    check(Transform::ParityZero7bit, &[(b"\x81", b"\x01")]);
}

#[test]
fn characters_beyond_ascii() {
    check(Transform::Utf8ToUnicode, &[("aé€🍕".as_bytes(), b"a%u00e9%u20ac%u1f355"), (b"\xff", b"\xff")]);
}

/// Quadratic inputs: a pathological megabyte must take each transformation no longer than a plain one by orders, and never grow beyond the bound.
#[test]
fn no_transformation_outgrows_its_bound() {
    let seeds: [&[u8]; 14] = [
        b"%",
        b"%u",
        b"&",
        b"&#",
        b"\\",
        b"\\u",
        b"/*",
        b"<!--",
        b"../",
        b"/.",
        b"--",
        "é".as_bytes(),
        b"0x4",
        b"\0",
    ];
    for step in Transform::ALL {
        for seed in seeds {
            let input = seed.repeat((1 << 18) / seed.len());
            let mut out = Vec::new();
            apply(*step, &input, &mut out);
            assert!(out.len() <= input.len() * GROWTH + 64, "{} of {}", step.name(), seed.escape_ascii());
        }
    }
}
