use super::*;
use proptest::prelude::*;

const NOW: u64 = 1_790_000_000_000;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn keys() -> Keys {
    Keys::new([b'k'; 32]).unwrap()
}

fn cursor(step: &str) -> Cursor {
    Cursor {
        request_id: RequestId::from_bytes(*b"0123456789abcdef"),
        node: NodeId::from_bytes(*b"the node"),
        seq: 42,
        expires_at: NOW + 900_000,
        step: Step::new(step),
        ended: false,
        may_cancel: true,
    }
}

fn open(text: impl AsRef<[u8]>) -> Result<Cursor, TokenError> {
    keys().verifier("s", None).open(text.as_ref(), NOW).map(Verified::into_cursor)
}

fn sign(cursor: &Cursor) -> String {
    keys().signer("s", None).sign(cursor).as_str().to_owned()
}

/// A token of these bytes with a MAC that is right, whatever the bytes say.
fn signed_raw(signed: &[u8]) -> String {
    let mac = mac(&keys().signer("s", None).0.mac, signed);
    BASE64_URL_SAFE_NO_PAD.encode([signed, &mac].concat())
}

#[test]
fn a_token_reads_back_as_it_was_signed() {
    for ended in [false, true] {
        for may_cancel in [false, true] {
            for step in ["", "DRAFTING", &"é".repeat(24)] {
                for seq in [0, 1, MAX_48] {
                    let cursor = Cursor { ended, may_cancel, seq, ..cursor(step) };
                    assert_eq!(open(sign(&cursor)), Ok(cursor));
                }
            }
        }
    }
}

#[test]
fn a_number_too_large_for_its_place_is_the_largest_that_fits() {
    let read = open(sign(&Cursor { seq: u64::MAX, expires_at: u64::MAX, ..cursor("") })).unwrap();
    assert_eq!((read.seq, read.expires_at), (MAX_48, MAX_48));
}

#[test]
fn a_token_is_short_and_url_safe() {
    let mut last = 0;
    for bytes in 0..=Step::MAX_BYTES {
        let token = sign(&cursor(&"s".repeat(bytes)));
        assert_eq!(token.len(), chars(MIN_BYTES + bytes));
        assert!(token.len() > last && token.starts_with('r') && looks_like_token(token.as_bytes()), "{token}");
        assert!(token.bytes().all(|byte| ALPHABET.contains(&byte)), "{token}");
        last = token.len();
    }
    assert_eq!((MIN_CHARS, MAX_CHARS, last), (74, 138, 138));
}

/// The layout is a contract with the tokens that are out there: change it and `VERSION` together.
/// The text was made by another program, of Python's `hmac` and the layout's table.
#[test]
fn a_token_never_changes_its_form() {
    let token = keys().signer("scope", Some("ann")).sign(&cursor("DRAFTING"));
    assert_eq!(token.as_str(), "rmgCMDEyMzQ1Njc4OWFiY2RlZnRoZSBub2RlAAAAAAAqAaDEXiegRFJBRlRJTkc07BdXxvT3WH2tL0wvmkpW",);
}

#[test]
fn no_flipped_bit_is_accepted() {
    for step in ["", "s", "st", "DRAFTING"] {
        let token = sign(&cursor(step));
        let mut raw = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..raw.len() * 8 {
            raw[bit / 8] ^= 1 << (bit % 8);
            let refused = open(BASE64_URL_SAFE_NO_PAD.encode(&raw)).unwrap_err();
            let expected = if bit < 8 { TokenError::Malformed } else { TokenError::InvalidSignature };
            assert_eq!(refused, expected, "bit {bit} of a token with the step {step:?}");
            raw[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn no_substituted_character_is_accepted() {
    for step in ["", "s", "st"] {
        let token = sign(&cursor(step)).into_bytes();
        for at in 0..token.len() {
            for byte in (0..=255_u8).filter(|byte| *byte != token[at]) {
                let mut other = token.clone();
                other[at] = byte;
                let refused = open(&other).unwrap_err();
                if !ALPHABET.contains(&byte) {
                    assert_eq!(refused, TokenError::Malformed, "{byte:#x} at {at}");
                }
                assert_ne!(refused, TokenError::Expired);
            }
        }
    }
}

#[test]
fn only_the_canonical_text_is_accepted() {
    for step in ["", "s", "st"] {
        let token = sign(&cursor(step));
        for text in [
            format!("{token}="),
            format!("{token}=="),
            format!("{token}A"),
            format!("{token}AA"),
            format!(" {token}"),
            format!("{token}\n"),
            format!("{token} "),
            token[..token.len() - 1].to_owned(),
            token[1..].to_owned(),
            token.replacen('r', "R", 1),
        ] {
            assert_ne!(open(&text), open(&token), "{text:?}");
            assert!(matches!(open(&text), Err(TokenError::Malformed | TokenError::InvalidSignature)), "{text:?}");
        }
    }
    // 55 bytes leave four bits of the last character over, 56 two: they have to be zero.
    for (step, spare) in [("", 16), ("s", 4)] {
        let token = sign(&cursor(step)).into_bytes();
        let last = ALPHABET.iter().position(|byte| byte == token.last().unwrap()).unwrap();
        assert_eq!(last % spare, 0);
        for bits in 1..spare {
            let mut other = token.clone();
            *other.last_mut().unwrap() = ALPHABET[last + bits];
            assert_eq!(open(&other), Err(TokenError::Malformed));
        }
    }
}

#[test]
fn a_true_mac_does_not_excuse_what_this_release_does_not_know() {
    let token = BASE64_URL_SAFE_NO_PAD.decode(sign(&cursor("step"))).unwrap();
    let signed = &token[..token.len() - MAC_BYTES];
    assert!(open(signed_raw(signed)).is_ok());
    let with = |at: usize, byte: u8| {
        let mut other = signed.to_vec();
        other[at] = byte;
        open(signed_raw(&other))
    };
    for flags in 4..=255 {
        assert_eq!(with(2, flags), Err(TokenError::Malformed), "flags {flags:#x}");
    }
    assert_eq!(with(0, VERSION ^ 1), Err(TokenError::Malformed));
    assert_eq!(with(signed.len() - 1, 0xff), Err(TokenError::Malformed), "a step that is not UTF-8");
    assert_eq!(with(1, signed[1] ^ 1), Err(TokenError::InvalidSignature), "a key id that no key has");
    assert_eq!(open(signed_raw(&signed[..HEAD_BYTES - 1])), Err(TokenError::Malformed));
    let long = [signed, &[b's'; Step::MAX_BYTES]].concat();
    assert_eq!(open(signed_raw(&long)), Err(TokenError::Malformed));
}

#[test]
fn a_token_is_good_for_one_scope_and_one_principal_only() {
    let keys = keys();
    let places = [("", None), ("s", None), ("s", Some("")), ("s", Some("ann")), ("sann", None), ("", Some("sann"))];
    for (scope, principal) in places {
        let token = keys.signer(scope, principal).sign(&cursor(""));
        for (other_scope, other_principal) in places {
            let opened = keys.verifier(other_scope, other_principal).open(token.as_bytes(), NOW);
            if (scope, principal) == (other_scope, other_principal) {
                assert!(opened.is_ok());
            } else {
                let case = format!("{scope:?} {principal:?} at {other_scope:?} {other_principal:?}");
                assert_eq!(opened, Err(TokenError::InvalidSignature), "{case}");
            }
        }
    }
}

#[test]
fn the_first_secret_signs_and_all_verify() {
    let (old, new) = ([b'o'; 32], [b'n'; 40]);
    let token = |keys: &Keys| keys.signer("s", None).sign(&cursor(""));
    let good = |keys: &Keys, token: &Token| keys.verifier("s", None).open(token.as_bytes(), NOW).map(|_| ());
    let (before, after) = (Keys::new(old).unwrap(), Keys::new(new).unwrap());
    let during = Keys::ring([&new[..], &old]).unwrap();
    assert_eq!(token(&during).as_bytes(), token(&after).as_bytes(), "the first one signs");
    assert_eq!(good(&during, &token(&before)), Ok(()));
    assert_eq!(good(&during, &token(&after)), Ok(()));
    assert_eq!(good(&after, &token(&before)), Err(TokenError::InvalidSignature));
    assert_eq!(good(&before, &token(&after)), Err(TokenError::InvalidSignature));
}

#[test]
fn of_secrets_that_share_a_key_id_each_is_tried() {
    let secret = |n: u16| [[b'k'; 30].as_slice(), &n.to_be_bytes()].concat();
    let id = |n: u16| Keys::new(secret(n)).unwrap().signer("s", None).0.id;
    let twin = (1..).find(|n| id(*n) == id(0)).unwrap();
    let ring = Keys::ring([secret(0), secret(twin)]).unwrap();
    for n in [0, twin] {
        let token = Keys::new(secret(n)).unwrap().signer("s", None).sign(&cursor(""));
        assert!(ring.verifier("s", None).open(token.as_bytes(), NOW).is_ok());
    }
}

#[test]
fn a_token_is_good_until_its_time_and_the_clocks_skew_are_over() {
    let (verifier, token) = (keys().verifier("s", None), sign(&cursor("")));
    let expires_at = cursor("").expires_at;
    for now in [0, expires_at, expires_at + 30_000] {
        assert!(verifier.open(token.as_bytes(), now).is_ok(), "at {now}");
    }
    for now in [expires_at + 30_001, u64::MAX] {
        assert_eq!(verifier.open(token.as_bytes(), now), Err(TokenError::Expired), "at {now}");
    }
    let forged = token.replacen("AqAa", "AqBa", 1);
    assert_ne!(forged, token);
    assert_eq!(verifier.open(forged.as_bytes(), u64::MAX), Err(TokenError::InvalidSignature), "the MAC comes first");
}

#[test]
fn what_an_application_calls_its_events_is_not_taken_for_a_token() {
    let long = "r".repeat(80);
    let token = sign(&cursor(""));
    assert!(looks_like_token(token.as_bytes()));
    for text in [
        "",
        "1",
        "r",
        "rj",
        "42",
        "1700000000000-0",
        "01890a5d-ac96-774b-bcce-b302099a8057",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        &"A".repeat(74),
        &"r".repeat(139),
        &long[..73],
        &long[..77],
        &token.replace('r', "s"),
        &format!("rA{}", &token[2..]),
        &format!("rw{}", &token[2..]),
        &token.replacen("DE", "D.", 1),
    ] {
        assert!(!looks_like_token(text.as_bytes()), "{text:?}");
        assert_eq!(open(text), Err(TokenError::Malformed), "{text:?}");
    }
}

#[test]
fn a_token_does_not_show_in_a_log() {
    assert_eq!(format!("{:?}", keys().signer("s", None).sign(&cursor(""))), "Token { .. }");
}

#[test]
fn a_refusal_does_not_say_what_the_token_holds() {
    for error in [TokenError::Malformed, TokenError::InvalidSignature, TokenError::Expired] {
        let text = error.to_string();
        assert!(text.starts_with("the token") && text.bytes().all(|byte| byte.is_ascii()), "{text}");
    }
}

prop_compose! {
    fn any_cursor()(
        id: [u8; 16],
        node: [u8; 8],
        seq in 0..=MAX_48,
        expires_at in NOW..=MAX_48,
        step in "\\PC{0,60}",
        ended: bool,
        may_cancel: bool,
    ) -> Cursor {
        let (request_id, node) = (RequestId::from_bytes(id), NodeId::from_bytes(node));
        Cursor { request_id, node, seq, expires_at, step: Step::new(&step), ended, may_cancel }
    }
}

proptest! {
    #[test]
    fn any_cursor_reads_back(cursor in any_cursor()) {
        let token = sign(&cursor);
        prop_assert!(token.len() <= 150 && looks_like_token(token.as_bytes()));
        prop_assert_eq!(open(token), Ok(cursor));
    }

    #[test]
    fn a_token_is_refused_wherever_it_was_touched(cursor in any_cursor(), at: prop::sample::Index, byte: u8) {
        let mut token = sign(&cursor).into_bytes();
        let at = at.index(token.len());
        prop_assume!(token[at] != byte);
        token[at] = byte;
        prop_assert!(open(token).is_err());
    }

    #[test]
    fn garbage_is_refused(text: Vec<u8>, like in "r[g-v][A-Za-z0-9_-]{70,140}") {
        prop_assert!(open(text).is_err());
        prop_assert!(open(like).is_err());
    }
}
