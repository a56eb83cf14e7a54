//! reconfig, which one server alone cannot do.

use super::Case;
use jute::ErrorCode;
use jute::txn::Txn;

impl Case<'_> {
    /// # Errors
    /// `RECONFIG_DISABLED` unless the configuration allows it; then what is wrong with the session;
    /// then `UNIMPLEMENTED`.
    pub(super) fn reconfig(&self) -> Result<Txn, ErrorCode> {
        if !self.options.reconfig_enabled {
            return Err(ErrorCode::RECONFIG_DISABLED);
        }
        self.check_session()?;
        Err(ErrorCode::UNIMPLEMENTED)
    }
}
