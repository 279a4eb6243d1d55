use super::*;
use proptest::prelude::*;

fn ai(id: &str) -> Origin {
    Origin::Ai(ContributionId::new(id))
}

fn edit(start: usize, deleted: usize, inserted: usize) -> Edit {
    Edit { start, deleted, inserted }
}

#[test]
fn edits_split_shrink_and_shift() {
    let mut spans = Spans::new(10, Origin::Unknown);
    let mut log = Vec::new();
    for (what, change, origin) in [
        ("an acceptance in the middle", edit(4, 0, 6), ai("c1")),
        ("typing at its end is the typist's", edit(10, 0, 1), Origin::TYPED),
        ("and goes on", edit(11, 0, 1), Origin::TYPED),
        ("typing inside splits", edit(6, 0, 2), Origin::TYPED),
        ("undone, it is whole again", edit(6, 2, 0), Origin::TYPED),
        ("typing before shifts", edit(0, 0, 3), Origin::TYPED),
        ("its first bytes go", edit(7, 2, 0), Origin::TYPED),
        ("all of it goes, and its neighbours meet", edit(7, 6, 0), Origin::TYPED),
    ] {
        spans.edit(change, &origin);
        log.push(format!("{what}: {spans}"));
    }
    expect_test::expect![[r#"
        an acceptance in the middle: unknown 0..4 | ai c1 4..10 | unknown 10..16
        typing at its end is the typist's: unknown 0..4 | ai c1 4..10 | human 10..11 | unknown 11..17
        and goes on: unknown 0..4 | ai c1 4..10 | human 10..12 | unknown 12..18
        typing inside splits: unknown 0..4 | ai c1 4..6 | human 6..8 | ai c1 8..12 | human 12..14 | unknown 14..20
        undone, it is whole again: unknown 0..4 | ai c1 4..10 | human 10..12 | unknown 12..18
        typing before shifts: human 0..3 | unknown 3..7 | ai c1 7..13 | human 13..15 | unknown 15..21
        its first bytes go: human 0..3 | unknown 3..7 | ai c1 7..11 | human 11..13 | unknown 13..19
        all of it goes, and its neighbours meet: human 0..3 | unknown 3..13"#]]
    .assert_eq(&log.join("\n"));
}

#[test]
fn a_writer_may_be_corrected_afterwards() {
    let mut spans = Spans::new(4, Origin::TYPED);
    spans.set(1..3, &ai("c1"));
    assert_eq!(spans.to_string(), "human 0..1 | ai c1 1..3 | human 3..4");
    assert_eq!((spans.bytes_of(&ContributionId::new("c1")), spans.at(1), spans.at(4)), (2, Some(&ai("c1")), None));
    spans.set(1..3, &Origin::TYPED);
    assert_eq!(spans, Spans::new(4, Origin::TYPED));
}

#[test]
fn stored_spans_that_do_not_cover_the_text_are_refused() {
    for (json, error) in [
        ("", "stored spans are not readable"),
        (r#"[{"start":0,"end":2,"origin":"robot"}]"#, "stored spans are not readable"),
        (r#"[{"start":1,"end":2,"origin":"human"}]"#, "stored spans have a gap or an overlap at byte 0"),
        (r#"[{"start":0,"end":0,"origin":"human"}]"#, "stored spans have a gap or an overlap at byte 0"),
        (
            r#"[{"start":0,"end":1,"origin":"ai"}]"#,
            "the stored span at byte 0 names no contribution, or one it may not",
        ),
        (
            r#"[{"start":0,"end":1,"origin":"human","contribution":"c"}]"#,
            "the stored span at byte 0 names no contribution, or one it may not",
        ),
        (r#"[{"start":0,"end":3,"origin":"human"}]"#, "stored spans cover 3 bytes of a text of 2"),
        ("[]", "stored spans cover 0 bytes of a text of 2"),
    ] {
        assert_eq!(Spans::from_json(json, 2).unwrap_err().to_string(), error, "{json}");
    }
}

fn any_origin() -> impl Strategy<Value = Origin> {
    prop_oneof![Just(Origin::TYPED), Just(Origin::Unknown), Just(ai("c1")), Just(ai("c2"))]
}

fn model_of(spans: &Spans) -> Vec<Origin> {
    spans.iter().flat_map(|(range, origin)| std::iter::repeat_n(origin.clone(), range.len())).collect()
}

fn is_well_formed(spans: &Spans) -> bool {
    let all: Vec<_> = spans.iter().collect();
    all.iter().all(|(range, _)| !range.is_empty())
        && all.windows(2).all(|pair| pair[0].0.end == pair[1].0.start && pair[0].1 != pair[1].1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn spans_are_an_array_of_writers(
        len in 0usize..12,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..6, 0usize..4, any_origin()), 0..40),
    ) {
        let mut spans = Spans::new(len, Origin::Unknown);
        let mut model = vec![Origin::Unknown; len];
        for (at, deleted, inserted, origin) in edits {
            let start = at.index(model.len() + 1);
            let deleted = deleted.min(model.len() - start);
            spans.edit(edit(start, deleted, inserted), &origin);
            model.splice(start..start + deleted, std::iter::repeat_n(origin, inserted));
            prop_assert_eq!(model_of(&spans), model.clone());
            prop_assert!(is_well_formed(&spans), "{}", spans);
            for (byte, origin) in model.iter().enumerate() {
                prop_assert_eq!(spans.at(byte), Some(origin));
            }
            let part = start / 2..model.len() - start / 3;
            let within: Vec<Origin> = spans.within(part.clone())
                .flat_map(|(range, origin)| std::iter::repeat_n(origin.clone(), range.len())).collect();
            prop_assert_eq!(&within[..], &model[part]);
        }
        prop_assert_eq!(&Spans::from_json(&spans.to_json(), model.len()).unwrap(), &spans);
    }
}
