//! Ways to build the relay wrongly. Each is put into the simulation's edge or
//! database, never into the product, and must be found out: a simulation that
//! passes everything proves nothing.

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The alarm is set only after the sender has been answered.
    AlarmAfterAnswer,
    /// A marker in KV is written before the event is stored, and believed.
    MarkerBeforeStore,
    /// No alarm stands while attempts are out.
    NoLease,
    /// An alarm for what is due now is set to now, and so never fires.
    ArmedInThePast,
    /// "Seen before" is looked up first and stored later, and no index judges.
    CheckThenInsert,
    /// A read that failed is taken for one that found nothing.
    ErrorAsAbsence,
    /// What the object could not store is acknowledged all the same.
    FailureAsSuccess,
    /// A run that broke off, or an object that died, is believed to have delivered:
    /// what was leased is marked as done before it is sent.
    DoneBeforeSent,
    /// A destination that is down and refuses an event is not believed to live.
    RefusalIsNoLife,
    /// A destination that is down is probed with the oldest event that was never tried.
    ProbeOldest,
    /// What a destination answers to a trial is not heard.
    TestDoesNotCount,
    /// That an event was delivered is forgotten when it is sent again.
    DeliveredIsForgotten,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::AlarmAfterAnswer,
        Self::MarkerBeforeStore,
        Self::NoLease,
        Self::ArmedInThePast,
        Self::CheckThenInsert,
        Self::ErrorAsAbsence,
        Self::FailureAsSuccess,
        Self::DoneBeforeSent,
        Self::RefusalIsNoLife,
        Self::ProbeOldest,
        Self::TestDoesNotCount,
        Self::DeliveredIsForgotten,
    ];
}
