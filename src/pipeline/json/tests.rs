//! Against serde_json, which says what is JSON, and against the twin without vectors.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::super::decode::{InvalidReason, decode};
use super::mask::{BLOCK, Scalar, Vectors};
use super::scan::scan;
use super::{Object, object};

/// What serde_json says.
fn oracle(value: &[u8]) -> Option<&[u8]> {
    let raw: &RawValue = serde_json::from_slice(value).ok()?;
    raw.get().starts_with('{').then(|| raw.get().as_bytes())
}

/// All ways that the processor has must say the same as serde_json.
fn check(value: &[u8]) {
    let expected = oracle(value);
    let compare = |found: Option<Object>, how: &str| {
        let text = found.as_ref().map(|object| &value[object.range.clone()]);
        assert_eq!(text, expected, "{how}: {:?}", String::from_utf8_lossy(value));
        if let Some(object) = found {
            let controls = value.iter().any(|byte| *byte < 0x20);
            assert_eq!(object.has_controls, controls, "{how}");
        }
    };
    compare(scan::<Scalar>(value), "without vectors");
    #[cfg(target_arch = "x86_64")]
    if super::mask::avx2::is_here() {
        // SAFETY: the processor has it.
        compare(unsafe { super::with_avx2(value) }, "with AVX2");
        compare(object(value), "with this processor's");
    }
    #[cfg(target_arch = "aarch64")]
    compare(object(value), "with NEON");
}

/// The same, at every place within a block, and across its end.
fn check_everywhere(value: &[u8]) {
    for before in [0, 1, 31, 32, 57, 61, 62, 63, 64, 127] {
        let mut moved = vec![b' '; before];
        moved.extend_from_slice(value);
        check(&moved);
        moved.extend([b'\n'; 3]);
        check(&moved);
    }
}

#[test]
fn every_short_text_of_these_letters() {
    // What all rules are about, a letter of each kind; within an object and bare.
    let letters = br#"{}[]:,"\0-1.eu "#;
    let mut texts = vec![Vec::new()];
    for length in 1..=4 {
        let longer = texts.iter().filter(|text| text.len() == length - 1);
        let longer: Vec<_> = longer
            .flat_map(|text| {
                letters.iter().map(move |letter| [text.as_slice(), &[*letter]].concat())
            })
            .collect();
        texts.extend(longer);
    }
    for text in &texts {
        check(text);
        check(&[b"{\"a\":", text.as_slice(), b"}"].concat());
        check(&[b"{\"", text.as_slice(), b"\":1}"].concat());
        check(&[b"{\"a\":[1,", text.as_slice(), b"]}"].concat());
        check(&[b"{\"a\":1", text.as_slice(), b",\"b\":2}"].concat());
    }
    assert_eq!(texts.len(), 1 + 15 + 15 * 15 + 15 * 15 * 15 + 15 * 15 * 15 * 15);
}

#[test]
fn every_byte_everywhere_in_an_object() {
    let sound = r#" {"a" : "x\u00e9\\", "é":[ -1.5e+3 ,true,null,{}] } "#.as_bytes();
    for at in 0..sound.len() {
        for byte in 0..=255 {
            let mut changed = sound.to_vec();
            changed[at] = byte;
            check(&changed);
        }
    }
}

#[test]
fn odd_ones() {
    for text in [
        &b""[..],
        b"{}",
        b" \t\r\n{ \t\r\n} ",
        b"{\"a\":1}{\"b\":2}",
        b"{\"a\":1}}",
        b"{\"a\":1},",
        b"{\"a\":\"\\ud800\"}",
        b"{\"a\":\"\\u12g4\"}",
        b"{\"a\":\"\\u123\"}",
        b"{\"a\":\"\\x41\"}",
        b"{\"a\":\"\x7f\"}",
        b"{\"a\":\"\x1f\"}",
        b"{\"a\":\"\n\"}",
        b"{\"a\":\x0c1}",
        b"{\"a\"\x1a1}",
        b"{\"a\":1\x0c}",
        b"{\"a\":\xff}",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"{\"a\":\"\xc3\xa9\"}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":1e400,\"b\":-0,\"c\":0.0e-0}",
        b"{\"a\":01}",
        b"{\"a\":+1}",
        b"{\"a\":.5}",
        b"{\"a\":5.}",
        b"{\"a\":1e}",
        b"{\"a\":-}",
        b"{\"a\":1 2}",
        b"{\"a\":1\"b\"}",
        b"{\"a\":\"b\"1}",
        b"{\"a\":\"b\"\"c\"}",
        b"{\"a\":truefalse}",
        b"{\"a\":nul}",
        b"{\"a\":NaN}",
        b"{\"a\":Infinity}",
        b"{'a':1}",
        b"{a:1}",
        b"{\"a\":1,}",
        b"{\"a\":[1,]}",
        b"{\"a\":[,]}",
        b"{,}",
        b"{\"a\":1 // no\n}",
        b"{\"a\":\\\"x\"}",
        b"[{}]",
        b"\"{}\"",
        b"{\"a\":\"",
        b"{\"a\":\"\\",
        b"{\"a\":\"\\\\\\\"",
        b"{\"a\":\"\\\\\\\\\"}",
        b"{\"\":{\"\":{\"\":[[[]]]}}}",
        b"{\"a\":[}]",
        b"{\"a\":[1}]}",
        b"{\"a\":{]}",
        b"\0",
        b"{}\0",
    ] {
        check_everywhere(text);
    }
}

#[test]
fn what_is_too_deep_is_left_to_serde_json() {
    for depth in 1..63 {
        let arrays = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        check(arrays.as_bytes());
        check(&arrays.as_bytes()[..arrays.len() - 2]);
        let objects = format!("{}{{}}{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        check(objects.as_bytes());
        // Arrays and objects in turn, and closed the wrong way round.
        let mixed = format!("{}1{}", "{\"a\":[".repeat(depth / 2), "]}".repeat(depth / 2));
        check(mixed.as_bytes());
        check(mixed.replacen("]}", "}]", 1).as_bytes());
    }
    for depth in [63, 64, 65, 127, 128, 1000, 100_000] {
        let arrays = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let objects = format!("{}{{}}{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let mixed = format!("{}1{}", "{\"a\":[".repeat(depth), "]}".repeat(depth));
        let cut = arrays[..arrays.len() - 2].to_owned();
        let crossed = mixed.replacen("]}", "}]", 1);
        for (text, is_sound) in
            [(arrays, true), (objects, true), (mixed, true), (cut, false), (crossed, false)]
        {
            assert_eq!(object(text.as_bytes()), None);
            let decoded = decode(text.as_bytes(), u32::MAX);
            let expected = if is_sound { Ok(text.as_bytes()) } else { Err(InvalidReason::NotJson) };
            assert_eq!(decoded.as_deref().map_err(|reason| *reason), expected, "{depth}");
        }
    }
}

#[test]
fn every_row_of_tokens() {
    // Whatever may follow whatever, with containers and members of each kind.
    let tokens = ["{", "}", "[", "]", ":", ",", "\"a\"", "1"];
    let mut rows = vec![String::new()];
    for _ in 0..10 {
        let longer: Vec<_> = rows
            .iter()
            // What serde_json takes no more will not be taken with more behind it.
            .filter(|row| is_a_beginning(row))
            .flat_map(|row| tokens.map(|token| format!("{row}{token}")))
            .collect();
        longer.iter().for_each(|row| check(row.as_bytes()));
        rows = longer;
    }
    assert!(rows.len() > 10_000, "{}", rows.len());
}

/// Whether more behind it may make it JSON.
fn is_a_beginning(text: &str) -> bool {
    let parsed: Result<&RawValue, _> = serde_json::from_str(text);
    parsed.err().is_some_and(|error| error.is_eof())
}

#[test]
fn backslashes_in_rows_across_blocks() {
    for count in 0..140 {
        for before in [0, 1, 58, 59, 60] {
            let row = "\\".repeat(count);
            check(format!("{}{{\"{}\":1}}", " ".repeat(before), row).as_bytes());
            check(format!("{}{{\"{}\\\":1}}", " ".repeat(before), row).as_bytes());
        }
    }
}

/// Documents of all kinds.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "[ -~]{0,80}".prop_map(Into::into),
        ".{0,40}".prop_map(Into::into),
        "[\\\\\"\u{1}\n]{0,70}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            proptest::collection::btree_map(".{0,12}", inner, 0..8)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn sees_what_the_twin_sees<V: Vectors>(block: &[u8; BLOCK]) -> Result<(), TestCaseError> {
    let masks = Scalar::masks(block);
    prop_assert_eq!(V::masks(block), masks);
    for bits in [masks.quotes, masks.white] {
        prop_assert_eq!(V::prefix_xor(bits), Scalar::prefix_xor(bits));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn documents_whole_and_hurt(
        document in document(), pretty: bool, hurt in any::<prop::sample::Index>(), byte: u8, how in 0..4,
    ) {
        let object = serde_json::json!({ "a": document });
        let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) };
        let mut text = text.unwrap().into_bytes();
        check(&text);
        prop_assert!(oracle(&text).is_some());
        let at = hurt.index(text.len());
        match how {
            0 => text[at] = byte,
            1 => drop(text.remove(at)),
            2 => text.insert(at, byte),
            _ => text.truncate(at),
        }
        check(&text);
    }

    #[test]
    fn anything(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }

    #[test]
    fn what_looks_like_json(text in r#"[{}\[\]:,"\\ \n0-9a-f.eE+truefalsn-]{0,150}"#) {
        check(text.as_bytes());
        check(format!("{{\"a\":{text}}}").as_bytes());
    }

    #[test]
    fn vectors_see_what_their_twin_sees(block in proptest::array::uniform32(any::<u8>()), other in "[ -~\t\n\r\u{c}\u{1a}]{32}") {
        let mut both = [0; BLOCK];
        both[..32].copy_from_slice(&block);
        both[32..].copy_from_slice(other.as_bytes());
        #[cfg(target_arch = "x86_64")]
        if super::mask::avx2::is_here() {
            sees_what_the_twin_sees::<super::mask::avx2::Avx2>(&both)?;
            if super::avx512::is_here() {
                sees_what_the_twin_sees::<super::avx512::Avx512>(&both)?;
            }
        }
        #[cfg(target_arch = "aarch64")]
        sees_what_the_twin_sees::<super::neon::Neon>(&both)?;
    }
}
