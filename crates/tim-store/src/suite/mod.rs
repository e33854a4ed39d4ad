//! The conformance suite: what every store must do, whatever its engine.
//!
//! An engine implements [`Engine`] in a test file and calls [`suite!`](crate::suite!), which makes one `#[test]` of each rule; the
//! front page of the crate has an example. The suite sets the time of each commit, runs races on real threads, and compares
//! random histories with a model. It panics where a store is wrong, as tests do.

#[doc(hidden)]
pub mod administer;
#[doc(hidden)]
pub mod append;
#[doc(hidden)]
pub mod blocked;
#[doc(hidden)]
pub mod changes;
#[doc(hidden)]
pub mod contacts;
#[doc(hidden)]
pub mod endings;
#[doc(hidden)]
pub mod files;
#[doc(hidden)]
pub mod group_life;
#[doc(hidden)]
pub mod group_model;
mod group_model_rules;
mod group_model_state;
#[doc(hidden)]
pub mod groups;
#[doc(hidden)]
pub mod lists;
#[doc(hidden)]
pub mod model;
mod model_files;
mod model_push;
mod model_state;
#[doc(hidden)]
pub mod pages;
#[doc(hidden)]
pub mod permissions;
#[doc(hidden)]
pub mod purge;
#[doc(hidden)]
pub mod push;
#[doc(hidden)]
pub mod quotas;
#[doc(hidden)]
pub mod revoke;
#[doc(hidden)]
pub mod rosters;
#[doc(hidden)]
pub mod threads;
#[doc(hidden)]
pub mod unused;
#[doc(hidden)]
pub mod world;

use world::{DAY_MS, START_MS, World, new_group, stored, text, texts};

use crate::Store;

/// Data of a store that can be opened again and again.
pub trait Engine {
    /// Opens the store. The suite drops the result before it calls this again.
    fn open(&self) -> Store;

    /// A backup: other data with all that this has. The suite calls it while the store is closed.
    fn copy(&self) -> Box<dyn Engine>;
}

/// Makes one `#[test]` of each function of the [suite](mod@crate::suite). `$engine` is a function that makes the [`Engine`](crate::suite::Engine)
/// of a new, empty store, in a box.
#[macro_export]
macro_rules! suite {
    ($engine:expr; $($module:ident { $($test:ident),* $(,)? })*) => {
        $(mod $module {
            $(#[test]
            fn $test() {
                let engine = { use super::*; $engine };
                $crate::suite::$module::$test(&mut $crate::suite::world::World::new(engine()));
            })*
        })*
    };
    ($engine:expr) => {
        $crate::suite!($engine;
            append {
                accounts_are_numbered_once, accounts_are_made_with_a_write, sequences_and_changes_have_no_gaps, a_resend_is_answered_as_the_first,
                a_refused_item_leaves_its_neighbours, strangers_cannot_write, entries_come_back_whole,
                too_much_content_is_refused, reopening_keeps_everything, an_id_is_used_for_one_message,
                many_messages_of_a_batch_under_one_id,
            }
            pages {
                pages_walk_the_whole_history_once, a_page_is_stable_while_others_append, pages_skip_revocations_exactly,
                bytes_are_limited, an_unknown_log_is_an_empty_completed_page, pages_and_changes_meet,
            }
            changes {
                a_device_gets_everything_once_and_in_order, bytes_and_entries_are_limited,
                nothing_of_others, reads_see_what_was_answered, a_copy_knows_cursors_of_a_later_life,
                cursors_outlive_openings, an_opening_that_changes_nothing_leaves_no_trace,
            }
            lists {
                newest_first_and_at_most_a_hundred, own_messages_are_never_unread, the_read_mark_only_moves_forward,
                a_deleted_conversation_comes_back_with_its_history, flags_are_obeyed, profiles_are_shown,
                a_note_to_oneself,
            }
            revoke {
                the_message_is_marked_and_told_of, the_window_is_exact, the_managers_revoke_what_those_of_lower_rank_wrote,
                managers_have_a_window_of_their_own, the_content_is_gone_everywhere_and_the_revoker_is_named,
                a_repeated_request_is_answered_as_the_first, unread_and_preview_follow, what_cannot_be_revoked,
            }
            groups {
                created_whole_with_tip_and_notices, creation_is_idempotent, a_random_number_is_used_for_one_group, a_refused_group_leaves_nothing,
                members_see_from_joining_on, leaving_ends_sending_and_reading, nobody_is_in_too_many_groups, a_thousand_applications_wait_at_most,
                a_message_writes_no_member_row,
            }
            permissions { every_cell_of_the_table }
            endings {
                a_live_room_keeps_its_owner_and_its_bans, a_dismissed_group_is_gone_for_everybody, what_a_command_has_changed_is_returned,
                the_service_takes_a_group_back_and_tells_members, a_batch_that_ends_a_group_writes_nothing_to_it_afterwards,
            }
            rosters {
                members_come_in_pages_by_standing_and_role, ones_groups_come_in_pages, the_muted_write_again_in_time, a_mute_lasts_however_its_user_left_and_came_back,
                an_owner_is_never_muted,
                mentions_are_kept_until_read, mentions_are_looked_for_among_the_newest, a_message_to_ten_thousand_is_one_entry, rosters_say_who_came_and_went,
                a_meeting_counts_nothing_as_unread, what_is_written_down_has_a_length,
            }
            purge {
                old_conversations_leave_the_list, sequences_go_on_after_everything_is_gone, gaps_are_announced_once,
                paging_during_a_purge, steps_are_bounded, ids_outlive_the_resend_window, ids_last_as_long_as_their_messages,
                unread_counts_what_is_kept, a_purge_names_what_it_has_changed, a_step_without_time_gets_on,
                ids_behind_many_that_stay_are_forgotten, a_batch_goes_on_behind_its_purge,
            }
            quotas {
                bytes_are_given_back_when_they_are_removed, a_refused_message_leaves_nothing,
                conversations_count_for_who_has_begun_them, what_the_hub_writes_counts_for_nobody,
            }
            files {
                a_file_comes_back_whole, the_same_content_is_stored_once, files_are_counted_for_their_owners,
                those_who_see_a_file_send_it_on, members_send_on_what_they_see, a_file_is_removed_when_nothing_uses_it,
                a_resend_needs_no_file, a_claim_outlasts_the_last_use, removal_and_use_are_decided_in_their_order,
                steps_of_removal_are_bounded, an_owner_of_files_keeps_the_account,
            }
            blocked {
                a_user_is_blocked_until_somebody_says_otherwise,
            }
            push {
                a_token_is_of_who_registered_it_last, a_token_that_was_registered_anew_is_not_removed_as_the_former_one, a_token_that_was_written_otherwise_is_the_same, a_user_has_so_many_tokens, what_was_pushed_only_moves_forward,
                members_with_tokens_are_found,
            }
            unused {
                what_nothing_refers_to_is_removed_in_time, whatever_refers_to_an_account_keeps_it,
                removal_and_use_are_decided_in_their_order, numbers_of_removed_accounts_are_not_given_out_again,
            }
            contacts {
                contacts_are_kept_in_their_order, a_change_of_contacts_is_made_whole, a_deleted_account_is_opened_again_without_what_it_had,
                user_sigs_are_void_for_good, any_changes_of_contacts_agree_with_the_model,
            }
            threads {
                one_of_many_equal_sends_is_stored, sixty_four_writers_leave_no_gap, one_of_two_revokers_wins,
                read_marks_race_forward, a_removal_races_with_messages, a_dismissal_races_with_everything, published_entries_come_in_order_before_answers, a_full_queue_refuses,
                a_fatal_store_answers_everybody_and_stops, a_failed_commit_is_told_to_its_batch_only,
                futures_are_answered,
            }
            administer {
                an_administrator_needs_no_membership, what_is_silent_is_told_to_nobody, groups_without_owner_are_handed_over,
                fields_end_with_what_they_are_of, all_groups_come_in_pages, messages_are_imported_in_their_order,
                unread_counts_are_set, an_administrator_revokes_everything, administered_groups_are_kept,
            }
            model { any_history_agrees_with_the_model }
            group_model { any_life_of_a_group_agrees_with_the_model }
            group_life { a_life_with_every_tip_and_notice }
        );
    };
}
