//! Threads: a host that has them defines these imports again, over its own calls into the guest.

use wasisocket_abi::Errno;

use super::Call;

impl<F> Call<'_, F> {
    pub(super) fn thread_create(&mut self, _stack: u32) -> Result<u32, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    pub(super) fn thread_switch(&mut self, _thread: u32) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    pub(super) fn thread_drop(&mut self, _thread: u32) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}
