//! What the functions rely on AWS to do, each with its source, held against both worlds that stand for AWS in tests: the one
//! in memory (`sim`), and the emulator, through the real adapters and over the wire. Where the two differed, one of them would
//! teach us something that is not so.
//!
//! The emulator's part needs `make venv`.

#![cfg(test)] // for clippy: `unwrap` and the like are for tests alone

mod copies;
mod emulated;
mod emulated_nodes;
mod emulated_restore;
mod memory;
mod memory_nodes;
mod memory_restore;
mod names;
mod node_stage;
mod nodes;
mod peerings;
mod restore_stage;
mod routes;
mod sets;
mod snapshots;
mod stage;
mod table;
mod targets;
mod volumes;

use std::pin::Pin;

use crate::node_stage::NodeStage;
use crate::restore_stage::RestoreStage;
use crate::stage::Stage;

/// A behaviour: its name, and what shows it.
type Behaviour<S> = (&'static str, for<'s> fn(&'s S) -> Pin<Box<dyn Future<Output = ()> + 's>>);

macro_rules! behaviours {
    ($all:ident of $stage:ident: $($room:ident: $($name:ident),+;)+) => {
        fn $all<S: $stage>() -> Vec<Behaviour<S>> {
            vec![$($((concat!(stringify!($room), "::", stringify!($name)), |stage| Box::pin($room::$name(stage)))),+),+]
        }
    };
}

behaviours! {
    behaviours of Stage:
    targets:
        a_registered_address_is_initial_and_then_healthy,
        a_target_that_nothing_answers_for_becomes_unhealthy,
        a_deregistered_target_drains_and_then_is_gone,
        a_draining_target_that_is_registered_again_is_initial,
        registering_twice_is_registering_once,
        deregistering_what_is_not_there_is_success,
        a_target_is_its_address_and_its_port,
        a_public_address_is_refused,
        the_private_ranges_and_the_shared_space_are_taken,
        an_address_of_our_own_subnets_cannot_have_the_zone_all,
        a_full_group_refuses_and_draining_targets_leave_room,
        a_group_without_a_listener_has_unused_targets,
        a_group_that_is_not_there_is_not_found,
        a_group_tells_its_vpc_and_what_it_takes;
    peerings:
        the_list_and_a_read_by_id_say_the_same,
        an_id_that_nobody_has_is_none,
        every_state_is_told_as_itself,
        the_accepters_blocks_are_told_only_while_active,
        the_requesters_blocks_are_told_from_the_start,
        a_second_block_is_told_with_the_first,
        a_request_that_waits_has_an_expiry,
        a_connection_out_of_sight_is_none_and_not_listed;
    routes:
        a_table_has_its_local_route,
        a_route_over_a_pending_connection_is_a_blackhole_until_it_is_active,
        the_end_of_a_connection_leaves_its_route_as_a_blackhole,
        a_second_route_for_a_block_is_a_conflict,
        a_route_is_pointed_to_another_connection,
        replacing_a_route_that_is_not_there_is_not_found,
        a_route_that_is_not_there_is_removed,
        a_route_into_our_own_vpc_is_refused,
        a_table_that_is_not_there_is_left_out_and_not_found;
    table:
        an_item_that_must_be_absent_is_written_once,
        each_write_raises_the_version_and_an_old_one_fails,
        a_transaction_happens_whole_or_not_at_all,
        a_check_changes_nothing_and_stops_the_rest,
        deleting_follows_the_same_conditions,
        a_write_on_any_condition_begins_at_version_one,
        a_partition_is_read_in_the_order_of_its_sort_keys,
        a_document_comes_back_as_it_was,
        an_item_without_a_version_has_version_zero;
    names:
        an_address_in_text_is_its_own_answer,
        a_name_that_nobody_has_does_not_exist,
        addresses_come_sorted_with_their_ttl;
}

behaviours! {
    of_nodes of NodeStage:
    nodes:
        a_launched_instance_serves_once_its_hook_is_answered,
        an_action_is_answered_once,
        the_token_of_the_event_names_the_action,
        an_abandoned_launch_is_ended_and_replaced,
        a_group_whose_launches_are_suspended_replaces_nothing,
        a_launch_that_nobody_answers_goes_by_its_hooks_default,
        a_termination_goes_on_once_its_hook_is_answered,
        an_abandoned_termination_ends_the_instance,
        an_abandoned_termination_is_retained_where_the_policy_says_so,
        a_heartbeat_starts_the_time_anew,
        an_instance_that_is_killed_in_service_still_goes_through_its_hook,
        an_instance_is_protected_only_in_service,
        a_hook_tells_its_times_and_its_default,
        what_nobody_has_is_left_out,
        an_instance_tells_its_tags_and_its_address_while_it_has_one,
        a_node_is_registered_drains_and_is_gone,
        only_a_running_instance_is_a_target,
        a_command_that_no_agent_takes_up_is_lost,
        an_instance_without_an_agent_takes_no_command;
    volumes:
        a_new_volume_is_on_its_way_and_then_there,
        one_token_gives_one_volume,
        a_volume_is_in_use_before_it_is_attached,
        an_attached_volume_is_neither_attached_again_nor_deleted,
        a_marked_volume_ends_with_its_instance,
        an_unmarked_volume_outlives_its_instance,
        only_what_is_attached_is_marked,
        a_free_volume_is_deleted;
}

behaviours! {
    of_snapshots of RestoreStage:
    sets:
        one_call_takes_all_volumes_at_one_instant,
        what_is_left_out_or_detached_is_not_taken,
        the_tags_of_the_call_are_on_all_members_and_no_others_are,
        a_set_is_pending_and_then_complete,
        a_complete_snapshot_tells_what_it_holds,
        a_member_that_fails_takes_its_set_along,
        one_event_tells_the_end_of_a_set,
        a_snapshot_is_encrypted_as_its_volume_is,
        five_are_pending_of_a_volume_and_no_more,
        one_is_pending_of_a_cold_volume_and_no_more,
        a_volume_has_fifteen_seconds_between_its_snapshots,
        what_is_attached_is_told,
        what_has_ended_is_not_taken;
    snapshots:
        a_list_by_tags_is_whole,
        an_id_that_nobody_has_is_left_out,
        a_tag_is_put_over_its_older_value,
        deleting_one_leaves_the_others_of_its_set,
        what_is_not_there_is_deleted,
        a_pending_one_is_gone_once_it_is_complete,
        what_failed_is_deleted_at_once,
        what_an_image_is_made_from_is_not_deleted,
        what_is_locked_is_not_deleted,
        it_is_told_with_whom_a_snapshot_is_shared,
        what_the_recycle_bin_took_is_there_for_nobody;
    copies:
        a_copy_is_pending_and_then_complete_in_its_own_region,
        a_copy_is_encrypted_with_the_key_that_was_asked_for,
        a_copy_of_what_is_encrypted_is_encrypted,
        a_key_is_for_an_encrypted_copy,
        only_what_is_complete_is_copied,
        twenty_copies_are_on_their_way_into_a_region,
        copies_of_one_volume_follow_each_other,
        a_copy_with_a_key_that_cannot_be_used_fails_later,
        a_copy_of_what_cannot_be_decrypted_fails_later,
        a_copy_without_the_url_that_it_needs_fails_later,
        an_event_tells_the_end_of_a_copy_there,
        a_key_is_found_by_its_id_its_arn_and_its_alias,
        a_key_that_cannot_be_used_says_so;
}

#[test]
fn the_world_in_memory_behaves_as_documented() {
    for (name, behaviour) in behaviours::<memory::Memory>() {
        println!("{name}");
        let stage = memory::Memory::new();
        let time = stage.world.time().clone();
        sim::block_on(&time, behaviour(&stage)).unwrap();
    }
}

#[test]
fn the_emulated_aws_behaves_as_documented() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let all = behaviours::<emulated::Emulated>();
    assert!(all.len() >= 25);
    for (name, behaviour) in all {
        println!("{name}");
        let stack = stack::acquire().unwrap();
        runtime.block_on(async {
            let stage = emulated::Emulated::new(stack).await;
            behaviour(&stage).await;
        });
    }
}

#[test]
fn the_nodes_of_the_world_in_memory_behave_as_documented() {
    for (name, behaviour) in of_nodes::<memory_nodes::MemoryNodes>() {
        println!("{name}");
        let stage = memory_nodes::MemoryNodes::new();
        let time = stage.world.time().clone();
        sim::block_on(&time, behaviour(&stage)).unwrap();
    }
}

#[test]
fn the_nodes_of_the_emulated_aws_behave_as_documented() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, behaviour) in of_nodes::<emulated_nodes::EmulatedNodes>() {
        println!("{name}");
        let stack = stack::acquire().unwrap();
        runtime.block_on(async {
            let stage = emulated_nodes::EmulatedNodes::new(stack).await;
            behaviour(&stage).await;
        });
    }
}

#[test]
fn the_snapshots_of_the_world_in_memory_behave_as_documented() {
    for (name, behaviour) in of_snapshots::<memory_restore::MemoryRestore>() {
        println!("{name}");
        let stage = memory_restore::MemoryRestore::new();
        let time = stage.world.time().clone();
        sim::block_on(&time, behaviour(&stage)).unwrap();
    }
}

#[test]
fn the_snapshots_of_the_emulated_aws_behave_as_documented() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, behaviour) in of_snapshots::<emulated_restore::EmulatedRestore>() {
        println!("{name}");
        let stack = stack::acquire().unwrap();
        runtime.block_on(async {
            let stage = emulated_restore::EmulatedRestore::new(stack).await;
            behaviour(&stage).await;
        });
    }
}
