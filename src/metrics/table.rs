//! The one list of all metrics. `docs/metrics.md` is made from it.
//!
//! A line is: origin, kind, name, help. Origins: `java` means the same as in Java; `silent` is Java's, without a
//! counterpart here; `process` is about the process; `own` is not in Java and gets the prefix `oxkeeper_`. Kinds ending
//! in s are sets by the label `key`.
//!
//! Source: `ServerMetrics`; gauges: `ZooKeeperServer.registerMetrics` and the same method of its subclasses.

use super::ServerStats;
use super::Windows;
use super::declare::{
    Declared, Kind, NO_LABEL, Origin, Readable, Reading, Sampled, declared, gauges, handle, kind,
    metrics, name, origin, sample,
};
use super::number::Number;

metrics! {
    // Requests, as clients see them.
    java advanced readlatency "Requests that change nothing: from reception to answer, ms.";
    java advanced updatelatency "Requests that became a transaction: from reception to answer, ms.";
    java counter bytes_received_count "Bytes of frames received from clients, lengths included.";
    java counter response_bytes "Bytes of answers sent to clients.";
    java counter watch_bytes "Bytes of watch events sent to clients.";
    java basics read_per_namespace "Bytes read below a first path component: path, payload and 68 for the stat.";
    java basics write_per_namespace "Bytes written below a first path component: path and data.";
    java counters quota_exceeded_error_per_namespace "Writes refused by a hard quota, by first path component.";
    java counter large_requests_rejected "Requests refused because large ones already take all they may.";
    silent counter stale_requests "Requests whose connection had ended, or that had waited too long, at their turn.";
    java counter stale_requests_dropped "Stale requests that were dropped.";
    java counter stale_replies "Answers that nobody was left to take.";
    java counter throttled_ops "Requests answered with an error because they had waited too long.";
    java counter request_throttle_wait_count "Times requests had to wait because enough were in work.";
    java advanced request_throttle_queue_time_ms "How long requests waited before they were let in, ms.";

    // Connections and sessions.
    java counter connection_request_count "Handshakes that passed the connection throttle.";
    java counter connection_rejected "Connections refused: too many, or throttled.";
    java counter connection_drop_count "Connections that their client ended.";
    java counter connection_revalidate_count "Handshakes that resume a session.";
    java counter sessionless_connections_expired "Connections closed because no session came in time.";
    java counter stale_sessions_expired "Sessions that expired.";
    java basic connection_token_deficit "Tokens the connection throttle was short of at each handshake.";
    java basic socket_closing_time "Time it took to close the connection to a leader or a learner, ms.";
    silent basic netty_queued_buffer_capacity "Bytes of partly received frames (Netty's queues).";
    silent counter cnxn_closed_without_zk_server_running "Connections closed because there was no server (Netty).";

    // Authentication and TLS.
    silent counter ensemble_auth_success "Clients that named the right ensemble (scheme ensemble).";
    silent counter ensemble_auth_fail "Clients that named another ensemble (scheme ensemble).";
    silent counter ensemble_auth_skip "Clients that named no ensemble (scheme ensemble).";
    silent counter unsuccessful_handshake "TLS handshakes that failed.";
    silent counter tls_handshake_exceeded "Connections closed because too many TLS handshakes were under way.";
    silent counter insecure_admin_count "Plain HTTP requests on an admin port that also speaks TLS.";

    // Watches.
    java basic node_created_watch_count "Watchers told of each creation.";
    java basic node_deleted_watch_count "Watchers told of each deletion.";
    java basic node_changed_watch_count "Watchers told of each change of data.";
    java basic node_children_watch_count "Watchers told of each change of children.";
    silent counter add_dead_watcher_stall_time "Time spent waiting for the watch cleaner, ms.";
    silent counter dead_watchers_queued "Closed connections queued for the watch cleaner.";
    silent counter dead_watchers_cleared "Closed connections the watch cleaner has dealt with.";
    silent advanced dead_watchers_cleaner_latency "Rounds of the watch cleaner, ms.";

    // Disk.
    java basic fsynctime "Syncs of the transaction log, ms.";
    java basic snapshottime "Writing a snapshot, ms.";
    java counter snapshot_error_count "Snapshots asked for over HTTP that failed.";
    java counter snapshot_rate_limited_count "Snapshots asked for over HTTP too soon after the last.";
    java basic restore_time "Restoring a snapshot sent over HTTP, ms.";
    java counter restore_error_count "Restores over HTTP that failed.";
    java counter restore_rate_limited_count "Restores over HTTP too soon after the last.";
    java basic dbinittime "Loading the database, ms.";
    java basic startup_snap_load_time "Loading the snapshot at the start, ms.";
    java basic startup_txns_loaded "Transactions replayed at the start.";
    java basic startup_txns_load_time "Replaying transactions at the start, ms.";

    // Election and synchronization.
    java counter looking_count "Times this server began to look for a leader.";
    java basic election_time "Elections this server took part in, ms.";
    java basic leader_unavailable_time "As the new leader: how long there had been none, ms.";
    java basic unavailable_time "How long this server could not serve, ms.";
    java basic follower_sync_time "As a follower: synchronizing with the leader, ms.";
    java basic observer_sync_time "As an observer: synchronizing with the leader, ms.";
    java counter diff_count "As a leader: learners synchronized by sending what they missed.";
    java counter snap_count "As a leader: learners synchronized by sending a snapshot.";
    java basic inflight_diff_count "As a leader: synchronizations by difference under way, at begin and end of each.";
    java basic inflight_snap_count "As a leader: synchronizations by snapshot under way, at the begin and end of each.";
    java counter quit_leading_due_to_disloyal_voter "Attempts to lead given up as a voter looks for another leader.";

    // Broadcast.
    java counter proposal_count "As a leader: proposals made.";
    java counter commit_count "As a leader: proposals committed.";
    java advanced quorum_ack_latency "As a leader: from making a proposal to a quorum having acknowledged it, ms.";
    java advanceds ack_latency "As a leader: from a proposal to this server's acknowledgement, by server id, ms.";
    java basics learner_handler_qp_size "As a leader: packets that wait for a learner as others go, by server id.";
    java advanceds learner_handler_qp_time_ms "As a leader: how long packets for a learner wait, by server id, ms.";
    java counter revalidate_count "As a leader: sessions that learners asked about.";
    java counter learner_proposal_received_count "As a follower: proposals received.";
    java counter learner_commit_received_count "As a learner: commits received.";
    java advanced proposal_latency "As a follower: from the leader's time stamp to the proposal's reception, ms.";
    java advanced proposal_ack_creation_latency "From making a request a proposal to acknowledging it, ms.";
    java advanced commit_propagation_latency "As a learner: from a request's creation to its commit's arrival, ms.";
    java advanced propagation_latency "From a transaction's time stamp to its being applied on this server, ms.";
    silent advanced om_proposal_process_time_ms "As a follower: passing a proposal on to its observers, ms.";
    silent advanced om_commit_process_time_ms "As a follower: passing a commit on to its observers, ms.";
    java counter digest_mismatches_count "Transactions that left the tree with another hash than predicted.";

    // From a request to a proposal.
    java counter prep_processor_request_queued "Requests handed to the commit loop.";
    java basic prep_processor_queue_size "Requests that waited for the commit loop each time it looked.";
    java advanced prep_processor_queue_time_ms "How long requests waited for the commit loop, ms.";
    java basic prep_process_time "Judging a write and making a transaction of it, ms.";
    silent basic proposal_process_time "Proposing a transaction, ms; here a part of prep_process_time.";
    silent advanced close_session_prep_time "Preparing the end of a session, ms; here a part of prep_process_time.";
    java counter outstanding_changes_queued "Changes of znodes that were judged and not applied yet: how many came.";
    java counter outstanding_changes_removed "Changes of znodes that were judged and not applied yet: how many went.";
    java basic learner_request_processor_queue_size "As a learner: requests that waited to be passed on, at each.";
    silent counter skip_learner_request_to_next_processor_count "As a learner: requests passed on without waiting.";
    silent counter requests_not_forwarded_to_commit_processor "Requests kept from the commit processor.";

    // The log.
    java counter sync_processor_request_queued "Transactions handed to the log.";
    java basic sync_processor_queue_size "Transactions that waited for the log each time it looked.";
    java basic sync_processor_batch_size "Transactions made durable by one sync.";
    java advanced sync_processor_queue_time_ms "How long transactions waited for the log, ms.";
    java basic sync_process_time "Writing a transaction to the log, without the sync, ms.";
    java advanced sync_processor_queue_flush_time_ms "Syncing a batch and passing it on, ms.";
    java advanced sync_processor_queue_and_flush_time_ms "From handing a transaction to the log to its being safe, ms.";

    // From a commit to an answer.
    java counter request_commit_queued "Commits handed to the tree.";
    java basic write_commit_proc_issued "Writes applied together.";
    java basic read_commit_proc_issued "Reads answered together behind writes.";
    java basic write_batch_time_in_commit_processor "Applying a batch of writes, ms.";
    java basic commit_process_time "Applying a batch and answering what waited for it, ms.";
    java advanced write_commitproc_time_ms "Writes of this server's clients: from reception to being committed, ms.";
    java advanced read_commitproc_time_ms "Reads that wait for writes of their session: how long, ms.";
    java advanced local_write_committed_time_ms "Writes of this server's clients: from commit to being applied, ms.";
    java advanced server_write_committed_time_ms "Writes of others' clients: from commit to being applied, ms.";
    java advanced write_final_proc_time_ms "Applying a write and answering it, ms.";
    java advanced read_final_proc_time_ms "Answering a read, ms.";
    silent basic requests_in_session_queue "Requests in one session's queue of the commit processor.";
    silent basic pending_session_queue_size "Sessions with requests waiting in the commit processor.";
    silent basic reads_after_write_in_session_queue "Reads behind a write in a commit processor's session queue.";
    silent basic reads_issued_from_session_queue "Reads taken from sessions' queues of the commit processor.";
    silent basic session_queues_drained "Sessions' queues the commit processor emptied.";
    silent basic time_waiting_empty_pool_in_commit_processor_read_ms "Waiting for the commit processor's workers, ms.";
    silent basic concurrent_request_processing_in_commit_processor "Requests in the commit processor's workers.";
    silent basic read_commit_proc_req_queued "Reads queued in the commit processor.";
    silent basic write_commit_proc_req_queued "Writes queued in the commit processor.";
    silent basic commit_commit_proc_req_queued "Commits queued in the commit processor.";
    silent counter response_packet_cache_hits "Answers to getData taken from the response cache.";
    silent counter response_packet_cache_misses "Answers to getData not found in the response cache.";
    silent counter response_packet_get_children_cache_hits "Answers to getChildren taken from the response cache.";
    silent counter response_packet_get_children_cache_misses "Answers to getChildren not in the response cache.";

    // The process.
    silent counter unrecoverable_error_count "Threads that died; this server ends with the first.";
    silent advanced jvm_pause_time_ms "Pauses of the Java virtual machine, ms.";

    // Not in Java.
    own by_stage request_stage_seconds "Time requests spend in each stage: queue (waiting for the commit loop), prep \
        (judged by the leader), log (until durable on this server), quorum (until a quorum has it), apply (to the \
        tree), reply (until written to the socket).";
    own by_op request_seconds "Requests of this server's clients from reception to answer, by operation.";
    own histogram fsync_seconds "Syncs of the transaction log.";
    own counter slow_requests "Requests that took longer than the threshold for logging them.";
}

gauges! {
    java gauge avg_latency "Mean of all requests from reception to answer, since the last srst, ms.";
    java gauge max_latency "Longest request since the last srst, ms.";
    java gauge min_latency "Shortest request since the last srst, ms.";
    java gauge packets_received "Frames received from clients since the last srst, four-letter words among them.";
    java gauge packets_sent "Frames sent to clients since the last srst, events among them.";
    java gauge num_alive_connections "Open connections of clients.";
    java gauge outstanding_requests "Requests the server has taken and not answered.";
    java gauge uptime "Since the server began to serve in its present role, ms.";
    java gauge znode_count "Znodes, with the root counted twice as in Java.";
    java gauge watch_count "Watches, those for children included.";
    java gauge ephemerals_count "Ephemeral znodes.";
    java gauge approximate_data_size "Bytes of all paths and data.";
    java gauge global_sessions "Sessions that the whole ensemble knows.";
    java gauge local_sessions "Sessions that only this server knows.";
    java gauge open_file_descriptor_count "Files and sockets the process has open.";
    java gauge max_file_descriptor_count "Files and sockets the process may have open.";
    java gauge connection_drop_probability "How likely the connection throttle drops a handshake, 0 to 1.";
    java gauge last_client_response_size "Length of the last answer to a client, bytes; -1 before the first.";
    java gauge max_client_response_size "Length of the longest answer to a client, bytes; -1 before the first.";
    java gauge min_client_response_size "Length of the shortest answer to a client, bytes; -1 before the first.";
    silent gauge outstanding_tls_handshake "TLS handshakes under way.";
    java gauge auth_failed_count "Authentications that failed.";
    silent gauge non_mtls_remote_conn_count "Connections from elsewhere without a client certificate on a TLS port.";
    silent gauge non_mtls_local_conn_count "Connections from this machine without a client certificate on a TLS port.";
    java gauges quota_count_limit_per_namespace "Znodes that quotas allow, by first path component; -1 for no limit.";
    java gauges quota_bytes_limit_per_namespace "Bytes that quotas allow, by first path component; -1 for no limit.";
    java gauges quota_count_usage_per_namespace "Znodes that count towards quotas, by first path component.";
    java gauges quota_bytes_usage_per_namespace "Bytes that count towards quotas, by first path component.";

    // Members of an ensemble.
    java gauge quorum_size "Voters of the ensemble.";

    // Leaders, and where noted followers.
    java gauge learners "As a leader: connections from learners, in whatever phase.";
    java gauge synced_followers "As a leader: followers that are in sync.";
    java gauge synced_non_voting_followers "As a leader: followers that are in sync and do not vote.";
    java gauge synced_observers "As a leader: observers that are in sync. As a follower: observers it hosts.";
    java gauge pending_syncs "As a leader: sync requests that wait for a quorum.";
    java gauge leader_uptime "As a leader: since it leads, ms.";
    java gauge last_proposal_size "As a leader: length of the last proposal, bytes; -1 before the first.";
    java gauge max_proposal_size "As a leader: length of the longest proposal, bytes; -1 before the first.";
    java gauge min_proposal_size "As a leader: length of the shortest proposal, bytes; -1 before the first.";

    // The process.
    process counter process_cpu_seconds_total "Time the process spent on processors, s.";
    process gauge process_start_time_seconds "When the process began, s since 1970.";
    process gauge process_open_fds "Files and sockets the process has open.";
    process gauge process_max_fds "Files and sockets the process may have open.";
    process gauge process_virtual_memory_bytes "Address space of the process.";
    process gauge process_resident_memory_bytes "Memory the process holds.";

    // Not in Java.
    own by_owner memory_bytes "Estimated memory by what holds it: znodes, watches, sessions, queues.";
    own gauge zxids_left "Transactions until the epoch's numbers are used up, which costs a new election.";
    own by_version build_info "Always 1; its label names the version.";
    own gauge recovering "1 while the server reads its data folder and serves nobody yet, then 0.";
    own by_file recovery_read_bytes "How much of the file it is at a recovery has read.";
    own by_file recovery_file_bytes "Length of the file a recovery is at.";
}
