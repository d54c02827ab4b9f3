//! What a name's value says, and who has a name.

use super::*;
use crate::{Keys, settings::Settings, store::MemoryStore};
use proptest::prelude::*;

#[tokio::test]
async fn each_name_of_a_claim_has_its_own_print_also_once_another_one_is_lost() {
    let keys = Keys::new([7; 32]).unwrap();
    let node = Node::new(Settings::default(), Arc::new(MemoryStore::new()), Some(keys));
    let claim = |print| Meaning {
        request_id: RequestId::random(),
        node: node.store.node(),
        since: 1,
        is_stream: true,
        print: Some([print; 16]),
    };
    let (first, second) = (Name::from_bytes([1; 32]), Name::from_bytes([2; 32]));
    let mine = [(first, claim(1)), (second, claim(2))];
    let given = Given::claim(&node, mine[0].1.request_id, &mine).unwrap();
    assert_eq!(Given::claim(&node, RequestId::random(), &mine).unwrap_err(), mine[0]);
    given.lose(first);
    assert_eq!(Given::claim(&node, RequestId::random(), &mine).unwrap_err(), mine[1]);
}

fn meaning() -> impl Strategy<Value = Meaning> {
    (any::<[u8; 16]>(), any::<[u8; 8]>(), any::<u64>(), any::<bool>(), any::<Option<Print>>()).prop_map(
        |(id, node, since, is_stream, print)| Meaning {
            request_id: RequestId::from_bytes(id),
            node: NodeId::from_bytes(node),
            since,
            is_stream,
            print,
        },
    )
}

proptest! {
    #[test]
    fn a_value_reads_back_and_fits_into_a_name(meaning in meaning()) {
        let value = meaning.encode();
        prop_assert!(value.len() <= crate::store::NAME_MAX_BYTES);
        prop_assert_eq!(Meaning::decode(&value), Some(meaning));
    }

    #[test]
    fn what_is_not_of_this_form_is_not_read(meaning in meaning(), cut in 0..BYTES, version in 2_u8..) {
        let value = meaning.encode().to_vec();
        prop_assert_eq!(Meaning::decode(&value[..cut]), None);
        prop_assert_eq!(Meaning::decode(&[&*value, b"x"].concat()), None);
        prop_assert_eq!(Meaning::decode(&[&[version], &value[1..]].concat()), None);
    }

    #[test]
    fn of_two_streams_one_is_the_newer(a in meaning(), b in meaning()) {
        prop_assert!(!a.yields_to(&a));
        prop_assert!(a.request_id == b.request_id || a.yields_to(&b) != b.yields_to(&a));
    }

    #[test]
    fn one_that_comes_is_the_newer_one_for_good(old in meaning(), since in 0..u64::MAX, mut new in meaning()) {
        let mut old = Meaning { since, ..old };
        prop_assert!(new.succeeds(&old, true));
        prop_assert!(old.yields_to(&new) && !old.succeeds(&new, false));
    }
}
