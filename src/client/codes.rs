//! Names of result codes, as Java's messages have them.

use jute::ErrorCode;

/// What `KeeperErrorCode = …` says. Source: `KeeperException.getCodeMessage`.
pub fn code_text(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::OK => "ok",
        ErrorCode::SYSTEM_ERROR => "SystemError",
        ErrorCode::RUNTIME_INCONSISTENCY => "RuntimeInconsistency",
        ErrorCode::DATA_INCONSISTENCY => "DataInconsistency",
        ErrorCode::CONNECTION_LOSS => "ConnectionLoss",
        ErrorCode::MARSHALLING_ERROR => "MarshallingError",
        ErrorCode::UNIMPLEMENTED => "Unimplemented",
        ErrorCode::OPERATION_TIMEOUT => "OperationTimeout",
        ErrorCode::BAD_ARGUMENTS => "BadArguments",
        ErrorCode::NEW_CONFIG_NO_QUORUM => "NewConfigNoQuorum",
        ErrorCode::RECONFIG_IN_PROGRESS => "ReconfigInProgress",
        ErrorCode::API_ERROR => "APIError",
        ErrorCode::NO_NODE => "NoNode",
        ErrorCode::NO_AUTH => "NoAuth",
        ErrorCode::BAD_VERSION => "BadVersion",
        ErrorCode::NO_CHILDREN_FOR_EPHEMERALS => "NoChildrenForEphemerals",
        ErrorCode::NODE_EXISTS => "NodeExists",
        ErrorCode::NOT_EMPTY => "Directory not empty",
        ErrorCode::SESSION_EXPIRED => "Session expired",
        ErrorCode::INVALID_CALLBACK => "Invalid callback",
        ErrorCode::INVALID_ACL => "InvalidACL",
        ErrorCode::AUTH_FAILED => "AuthFailed",
        ErrorCode::SESSION_MOVED => "Session moved",
        ErrorCode::NOT_READ_ONLY => "Not a read-only call",
        ErrorCode::EPHEMERAL_ON_LOCAL_SESSION => "Ephemeral node on local session",
        ErrorCode::NO_WATCHER => "No such watcher",
        ErrorCode::RECONFIG_DISABLED => "Reconfig is disabled",
        ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH => {
            "Session closed because client failed to authenticate"
        }
        ErrorCode::QUOTA_EXCEEDED => "Quota has exceeded",
        ErrorCode::THROTTLED_OP => "Op throttled due to high load",
        ErrorCode::UNKNOWN_SESSION => "Unknown error UNKNOWNSESSION",
        ErrorCode::REQUEST_TIMEOUT => "Unknown error REQUESTTIMEOUT",
        _ => "Unknown error",
    }
}
