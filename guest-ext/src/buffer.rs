//! Python's buffers as slices, without a copy.
//!
//! # Safety
//!
//! The memory of a `Py_buffer` does not move until the buffer is released. Nothing else reads or writes that
//! memory while a slice of it exists: the guest has one thread, and no Python code runs between making and
//! dropping the slice.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice;

use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A `Py_buffer` of contiguous bytes (`PyBUF_SIMPLE`), released on drop.
// Boxed: some exporters let `internal` or `shape` point into the struct, so it must not move.
struct SimpleBuffer(Box<ffi::Py_buffer>);

impl SimpleBuffer {
    fn get(object: &Borrowed<'_, '_, PyAny>, flags: i32) -> PyResult<Self> {
        let mut view = Box::new(ffi::Py_buffer::new());
        // SAFETY: the object is alive and attached; the view is writable and outlives the call.
        let result = unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &mut *view, flags) };
        if result == 0 {
            Ok(Self(view))
        } else {
            Err(PyErr::fetch(object.py()))
        }
    }

    /// Start and length. An empty buffer may have a null pointer, a slice may not.
    fn parts(&self) -> (NonNull<u8>, usize) {
        match NonNull::new(self.0.buf.cast()) {
            Some(start) => (start, usize::try_from(self.0.len).unwrap_or(0)),
            None => (NonNull::dangling(), 0),
        }
    }
}

impl Drop for SimpleBuffer {
    fn drop(&mut self) {
        // SAFETY: PyObject_GetBuffer filled it, and only this function releases it. These values exist only as
        // arguments of a Python call, so the thread is attached.
        unsafe { ffi::PyBuffer_Release(&mut *self.0) }
    }
}

/// An argument that is a bytes-like object, else TypeError, or BufferError if it has gaps.
pub(crate) struct ReadBuffer(SimpleBuffer);

impl ReadBuffer {
    pub(crate) fn as_slice(&self) -> &[u8] {
        let (start, length) = self.0.parts();
        // SAFETY: the view's own start and length; see the head of this file for aliasing.
        unsafe { slice::from_raw_parts(start.as_ptr(), length) }
    }
}

impl<'py> FromPyObject<'_, 'py> for ReadBuffer {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        SimpleBuffer::get(&object, ffi::PyBUF_SIMPLE).map(Self)
    }
}

/// An argument that is a writable bytes-like object, else TypeError.
pub(crate) struct WriteBuffer(SimpleBuffer);

impl WriteBuffer {
    /// The first `count` bytes, or all of them if `count` is 0; ValueError if the buffer is shorter.
    pub(crate) fn up_to(&mut self, count: usize) -> PyResult<&mut [MaybeUninit<u8>]> {
        let (start, length) = self.0.parts();
        if count > length {
            return Err(PyValueError::new_err(
                "buffer too small for requested bytes",
            ));
        }
        let count = if count == 0 { length } else { count };
        // SAFETY: inside the view, which is writable; see the head of this file for aliasing.
        Ok(unsafe { slice::from_raw_parts_mut(start.as_ptr().cast(), count) })
    }
}

impl<'py> FromPyObject<'_, 'py> for WriteBuffer {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        // The same text and type as CPython's own "w*".
        SimpleBuffer::get(&object, ffi::PyBUF_WRITABLE)
            .map(Self)
            .map_err(|_| match object.get_type().name() {
                Ok(name) => PyTypeError::new_err(format!(
                    "a read-write bytes-like object is required, not '{name}'"
                )),
                Err(error) => error,
            })
    }
}

/// The bytes that `fill` writes to the start of a buffer of `capacity` bytes.
///
/// This copies once, since the stable ABI cannot shorten a bytes object. `WriteBuffer` does not copy.
pub(crate) fn bytes_filled_by<'py>(
    py: Python<'py>,
    capacity: usize,
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> PyResult<usize>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut buffer = Vec::<u8>::new();
    buffer
        .try_reserve_exact(capacity)
        .map_err(|_| PyMemoryError::new_err(()))?;
    let room = buffer
        .spare_capacity_mut()
        .get_mut(..capacity)
        .unwrap_or_default();
    let filled = fill(room)?.min(capacity);
    // SAFETY: `fill` returned how many bytes it initialised, and the capacity is at least that.
    unsafe { buffer.set_len(filled) };
    bytes_of(py, &buffer)
}

/// A copy. Not `PyBytes::new`, which panics if there is no memory.
pub(crate) fn bytes_of<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, bytes.len(), |room| {
        room.copy_from_slice(bytes);
        Ok(())
    })
}
