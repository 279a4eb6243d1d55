//! Made-up pasts with a known law, and numbers that can be checked by hand.

use super::*;

/// A project in which more added lines bring more faults, and nothing else matters.
fn past(n: usize) -> History {
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 31)
    };
    let changes = (0..n).map(|i| {
        let mut read = [0.0; 14];
        read.iter_mut().for_each(|measure| *measure = (next() * 50.0).floor());
        read[Measure::Added as usize] = (next() * 1000.0).floor();
        let faulty = next() < read[Measure::Added as usize] / 2000.0;
        Change::new(i as i64, faulty, read)
    });
    History::new(changes.collect())
}

fn change(set: &[(Measure, f64)]) -> Change {
    let mut read = [10.0; 14];
    set.iter().for_each(|(measure, value)| read[*measure as usize] = *value);
    Change::new(0, false, read)
}

#[test]
fn a_law_in_the_past_is_found_and_its_chances_are_right() {
    let found = calibrate(&past(6000)).unwrap();
    assert!(found.after.auc > 0.63 && found.after.auc > found.lines_alone.auc - 0.02, "{:?}", found.after);
    assert!(found.after.ece < 0.05, "{:?}", found.after);
    let (few, many) = (change(&[(Measure::Added, 10.0)]), change(&[(Measure::Added, 990.0)]));
    assert!(found.trees.chance(&few) < 0.12 && found.trees.chance(&many) > 0.35);
}

#[test]
fn a_measure_moves_an_answer_only_the_way_it_says() {
    let trees = calibrate(&past(3000)).unwrap().trees;
    for measure in &Measure::ALL[..14] {
        // A ratio follows its parts, so a part of one may pull two ways.
        let is_part = [Measure::Files, Measure::Developers, Measure::Churn].contains(measure);
        for other in [0.0, 5.0, 20.0, 45.0] {
            let mut last = None;
            for value in 0..60 {
                let mut read = [other; 14];
                read[*measure as usize] = f64::from(value);
                let chance = trees.chance(&Change::new(0, false, read));
                let moved = last.map_or(0.0, |last: f64| (chance - last) * f64::from(measure.sign()));
                assert!(is_part || moved >= 0.0, "{measure:?} {value} among {other}: {moved}");
                last = Some(chance);
            }
        }
    }
}

#[test]
fn what_is_shown_adds_up_to_what_is_said() {
    let trees = calibrate(&past(3000)).unwrap().trees;
    for added in [0.0, 100.0, 900.0] {
        let change = change(&[(Measure::Added, added), (Measure::Repair, 1.0)]);
        let base = trees.base_chance();
        let log_odds: f64 = trees.explain(&change).iter().map(|share| share.log_odds).sum();
        let chance = 1.0 / (1.0 + (1.0 - base) / base * (-log_odds).exp());
        assert!((chance - trees.chance(&change)).abs() < 1e-9);
    }
}

#[test]
fn a_past_that_is_too_short_or_too_quiet_says_so() {
    assert!(matches!(calibrate(&past(200)), Err(CalibrateError::TooFew { .. })));
    assert!(matches!(calibrate(&History::default()), Err(CalibrateError::TooFew { faulty: 0, sound: 0 })));
    let quiet = past(6000).changes().iter().map(|change| Change { faulty: false, ..change.clone() }).collect();
    assert!(matches!(calibrate(&History::new(quiet)), Err(CalibrateError::TooFew { faulty: 0, .. })));
}

#[test]
fn quality_is_what_its_definitions_say() {
    let changes: Vec<Change> = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)]
        .iter()
        .map(|(chance, faulty)| {
            let mut read = [0.0; 14];
            read[Measure::Added as usize] = *chance;
            Change::new(0, *faulty, read)
        })
        .collect();
    let quality = Quality::of(&changes, |change| change[Measure::Added]);
    assert!((quality.auc - 0.75).abs() < 1e-12);
    assert!((quality.brier - (0.01 + 0.16 + 0.4225 + 0.04) / 4.0).abs() < 1e-12);
    let all_equal = Quality::of(&changes, |_| 0.5);
    assert_eq!((all_equal.auc, all_equal.brier, all_equal.brier_skill), (0.5, 0.25, 0.0));
}

#[test]
fn rows_that_cannot_be_read_are_counted_and_a_missing_column_is_named() {
    let names = "date,bug,ns,nd,nf,entrophy,la,ld,lt,fix,ndev,age,nuc,exp,rexp,sexp";
    let text = format!("{names}\n5,1,1,1,1,0.5,9,1,10,True,1,2,3,4,5,6\nx\n4,0,1,1,1,NaN,9,1,10,1,1,2,3,4,5,6\n\n");
    let history = History::from_csv(&text).unwrap();
    assert_eq!((history.changes().len(), history.set_aside), (1, 2));
    assert!(history.changes()[0].faulty);
    assert_eq!(history.changes()[0][Measure::AddedShare], 9.0 / 11.0);
    assert_eq!(History::from_csv("date,bug,ns").unwrap_err().to_string(), "the table has no column \"nd\"");
    assert!(History::from_csv("").is_err());
}
