//! The tap against recorded traffic of a real server: what it says happened is what truly happened.
//!
//! A client plays the editor's side of a recording and cuts it into chunks of any size; a stand-in
//! plays the server's. Each recording comes with its truth.

// The stand-ins are shell commands.
#![cfg(unix)]

mod pipe;
mod play;
mod truth;

use crate::support::{World, of_type};
use play::{Played, Recording};

#[test]
fn suggestions_accepted_in_full_are_told_with_text_place_and_model() {
    let played = check("copilot-accept-full");
    for accepted in of_type(&played.events, "suggestion.accepted") {
        assert_eq!(accepted["data"]["person"]["via"], "sso", "whoever signed in to it took it: {accepted}");
    }
}

#[test]
fn a_client_that_says_nothing_but_the_acceptance_is_understood() {
    check("copilot-native-client");
}

#[test]
fn word_by_word_acceptance_is_one_act_a_word() {
    check("copilot-partial-accept");
}

#[test]
fn suggestions_that_were_not_taken_are_told_with_what_can_be_known() {
    check("copilot-reject");
}

#[test]
fn emoji_and_crlf_do_not_move_anything() {
    check("copilot-unicode-crlf");
}

#[test]
fn messages_before_the_edit_that_overstate_are_not_believed() {
    check("copilot-copilot-lua-client");
}

#[test]
fn telemetry_on_the_wire_changes_nothing() {
    check("copilot-redirected-telemetry");
}

#[test]
fn nothing_is_told_where_nothing_was_suggested() {
    let played = check("copilot-unauthenticated");
    for name in ["suggestion.offered", "suggestion.accepted", "suggestion.rejected"] {
        assert_eq!(of_type(&played.events, name).len(), 0, "{name}");
    }
}

#[test]
fn next_edits_are_told_with_the_whole_new_text_and_how_they_ended() {
    check("copilot-next-edit");
}

#[test]
fn a_conversation_is_told_turn_by_turn_and_copied_code_is_not_accepted() {
    check("copilot-chat");
}

#[test]
fn a_menu_of_a_known_ai_is_followed_with_whole_documents() {
    check("helix-gpt-completion-menu");
}

#[test]
fn a_menu_whose_items_name_the_ai_is_followed_with_the_configured_model() {
    check("lsp-ai-completion-menu");
}

#[test]
fn a_question_without_an_answer_leaves_nothing_behind() {
    let played = check("lsp-ai-unicode-no-answer");
    assert_eq!(of_type(&played.events, "suggestion.offered").len(), 0);
}

#[test]
fn a_menu_is_followed_where_no_message_tells_of_acceptance() {
    check("tabby-agent-accept-reject");
    check("tabby-agent-completion-menu");
}

#[test]
fn lines_of_json_without_document_synchronisation_are_followed() {
    check("tabby-agent-jsonlines");
}

/// Plays a recording with two ways of cutting it into chunks, and compares what the spool says with the truth.
fn check(name: &str) -> Played {
    let recording = Recording::read(name);
    let mut last = None;
    for seed in [1, 20] {
        let played = play::play(&World::new(), &recording, seed);
        truth::compare(&recording, &played.events);
        last = Some(played);
    }
    last.expect("played")
}
