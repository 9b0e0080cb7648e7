//! The contract of the state store's ports, kept by SQLite and by PostgreSQL.

use pulse_core::testing::{Profile, contracts::state, stores_on};

macro_rules! keeps {
    ($($contract:ident,)+) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    super::state::$contract(super::stores_on(super::Profile::Embedded).await).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    super::state::$contract(super::stores_on(super::Profile::Scaled).await).await;
                }
            )+
        }
    };
}

keeps! {
    a_new_check_is_due_at_once,
    the_same_idempotency_key_makes_one_check,
    lists_are_newest_first_and_paged,
    lists_show_what_the_filter_lets_through,
    a_change_of_a_version_long_gone_is_stale,
    an_edit_of_what_is_looked_at_runs_at_once_and_closes_the_slot_under_way,
    an_edit_of_the_name_leaves_the_schedule_alone,
    a_paused_check_is_never_due_and_its_incident_is_over,
    a_deleted_check_is_gone_and_its_last_alert_is_still_delivered,
    a_run_asked_for_is_due_now_and_takes_no_slot_away,
    rival_schedulers_never_claim_a_slot_twice,
    a_check_under_way_takes_no_place_of_one_that_is_due,
    a_claim_that_is_not_committed_never_happened,
    slots_are_handed_out_as_far_ahead_as_a_claim_reaches,
    a_slot_without_a_result_and_slots_behind_are_told_as_missed,
    a_result_of_a_claim_that_was_rolled_back_counts_once,
    rival_recorders_apply_each_result_once,
    three_failures_in_a_row_open_one_incident_and_a_good_run_resolves_it,
    regions_share_one_incident,
    regions_that_move_at_the_same_time_agree_on_the_incident,
    failures_within_a_window_open_an_incident_and_good_runs_in_a_row_resolve_it,
    a_window_outlives_the_outage_before_it_and_forgets_its_failures,
    a_check_that_is_alive_and_less_than_well_is_degraded,
    the_worst_region_says_how_a_check_is,
    new_thresholds_hold_from_the_next_run_on,
    an_edit_of_what_is_looked_at_forgets_what_was_counted,
    nothing_is_expected_of_a_job_before_its_first_ping,
    a_job_that_falls_silent_is_told_and_its_next_ping_ends_it,
    a_failure_that_a_job_reports_is_told_at_once,
    pings_at_one_instant_are_outcomes_of_slots_of_their_own,
    a_run_of_a_job_is_one_outcome_from_its_start_to_its_end,
    what_pulse_was_not_there_to_hear_is_no_failure,
    a_paused_job_is_not_waited_for_and_a_resumed_one_anew,
    a_check_may_begin_to_wait_and_cease_to,
    rival_servers_judge_a_deadline_once,
    a_ping_that_races_with_its_deadline_has_the_last_word,
    an_edit_that_races_with_a_deadline_ends_and_so_does_the_round,
    a_setting_is_kept_listed_and_changed_by_one_at_a_time,
    silences_make_room_a_week_after_they_expired,
    a_project_has_only_so_many_settings_of_a_kind,
    routes_lead_to_channels_and_who_heard_the_beginning_hears_the_end,
    what_is_on_its_way_to_a_channel_that_is_removed_has_no_channel,
    a_test_of_a_channel_is_delivered_and_is_no_incident,
    an_acknowledgement_stays_with_who_came_first_and_can_be_taken_back,
    many_who_acknowledge_at_once_are_one,
    what_is_resolved_by_hand_is_told_and_judged_anew,
    what_is_resolved_by_hand_and_has_recovered_tells_nobody_again,
    a_look_that_began_before_it_was_resolved_by_hand_counts_no_more,
    resolving_and_recovering_at_once_ends_it_once,
    what_somebody_reports_is_told_by_its_tags_until_it_is_resolved,
    an_incident_has_only_so_many_notes,
    incidents_are_listed_by_what_is_asked_for,
    only_so_many_incidents_that_somebody_reported_last,
    messages_say_from_where_and_what_it_was_before,
    messages_link_to_where_people_reach_this_installation,
    whoever_was_told_by_a_channel_is_in_the_story,
    many_incidents_at_once_are_told_as_one,
    no_more_are_told_by_themselves_than_may_be,
    what_fails_when_a_storm_gathers_no_more_is_told_by_itself,
    a_storm_takes_the_steps_of_routes_until_somebody_sees_to_it,
    rivals_who_record_at_once_tell_no_more_by_themselves_than_may_be,
    what_outlasts_a_storm_is_told_by_itself,
    a_check_s_own_webhook_is_told_in_any_storm,
    a_breaker_without_a_limit_never_trips,
    who_is_told_later_is_told_when_it_is_due_and_hears_the_end,
    an_incident_that_is_over_is_not_followed_up,
    of_one_incident_alerts_arrive_in_their_order,
    rival_servers_follow_each_incident_up_once,
    what_a_silence_covers_is_told_when_it_ends_if_it_lasts,
    what_was_told_before_a_silence_is_told_to_be_over_in_spite_of_it,
    what_holds_an_incident_back_may_be_taken_away,
    incidents_during_maintenance_are_held_until_it_is_over,
    a_check_that_depends_on_another_is_told_under_it,
    which_of_two_is_recognised_first_is_no_matter,
    a_check_whose_parent_is_well_is_told_after_a_moment,
    nothing_depends_on_itself_however_many_edit_at_once,
    deliveries_keep_their_order_and_their_bytes,
    a_change_of_status_and_the_incident_with_it_are_told_once,
    a_check_is_told_as_a_whole_however_its_regions_move,
    a_pause_and_its_end_are_told,
    each_attempt_at_a_delivery_is_told_by_whoever_settles_it,
    runs_are_told_only_while_somebody_wants_them,
    an_edit_that_changed_nothing_tells_nothing,
    labels_are_those_of_checks_deleted_or_not,
    a_delivery_whose_alerter_died_is_sent_again_and_the_dead_settle_nothing,
    a_slow_channel_never_takes_all_places,
    what_failed_before_is_not_held_up_by_what_is_new,
    what_is_new_is_not_held_up_by_what_failed_before,
    a_receiver_that_fails_is_left_alone_and_one_probe_says_that_it_is_back,
    what_an_open_breaker_holds_uses_up_no_retries_and_holds_up_nobody,
    a_test_gets_past_an_open_breaker_and_closes_it,
    what_is_given_up_is_told_to_the_fallback_once_and_in_order,
    fallbacks_in_a_circle_are_told_once_each,
    a_channel_that_is_gone_is_switched_off_and_its_fallback_is_told,
    an_attempt_at_an_older_version_of_a_channel_does_not_switch_it_off,
    a_channel_that_does_nothing_but_fail_is_switched_off_and_all_others_are_told,
    what_is_on_its_way_to_a_removed_channel_is_told_to_the_fallback_it_had,
    a_fallback_is_told_of_what_waits_too_long_and_the_channel_as_well,
    a_thousand_outages_at_once_are_written_and_taken_in_bounded_time,
    a_dead_delivery_can_be_replayed_from_the_start_of_its_schedule,
    a_shipment_that_was_begun_comes_again_with_the_same_bytes,
    a_shipper_that_slept_past_its_lease_is_told_so,
    the_end_is_told_to_whoever_heard_the_beginning,
    waiting_history_has_a_bound_and_what_is_dropped_is_counted,
    a_secret_is_told_by_its_name_and_its_dates,
    a_definition_leaves_with_the_secrets_it_refers_to_and_no_other,
    definitions_that_leave_together_share_no_secrets,
    another_value_is_another_version_of_the_checks_that_refer_to_it,
    a_secret_in_use_is_not_removed,
    what_is_sealed_with_a_key_is_told_page_by_page,
    what_is_sealed_with_an_older_key_is_found_and_sealed_anew_once,
    what_changes_between_runs_is_told_and_what_was_not_seen_is_no_change,
    another_target_is_no_change_of_the_one_before,
    of_many_changes_the_newest_are_kept,
    what_nobody_needs_is_forgotten_and_the_rest_is_kept,
}
