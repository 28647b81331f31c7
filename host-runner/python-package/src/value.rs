//! Values, from CPython and to it.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyComplex, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet,
    PyString, PyTuple,
};
use wasisocket_python::Value;

/// How deep arguments may be in each other.
const DEPTH_MAX: usize = 200;

/// A value for the guest.
///
/// # Errors
/// TypeError if a part of it has another type, or is too deep.
pub(crate) fn from_python(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    convert(object, DEPTH_MAX)
}

fn convert(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(PyTypeError::new_err("this value is too deep"));
    };
    let items = |object: &Bound<'_, PyAny>| -> PyResult<Vec<Value>> {
        object
            .try_iter()?
            .map(|item| convert(&item?, depth))
            .collect()
    };
    if object.is_none() {
        return Ok(Value::None);
    }
    // Before int, which bool is a subclass of.
    if let Ok(value) = object.cast::<PyBool>() {
        return Ok(Value::Bool(value.is_true()));
    }
    if let Ok(value) = object.cast_exact::<PyInt>() {
        return int(value);
    }
    if let Ok(value) = object.cast_exact::<PyFloat>() {
        return Ok(Value::Float(value.value()));
    }
    if let Ok(value) = object.cast_exact::<PyString>() {
        return Ok(Value::Str(value.to_string_lossy().into_owned()));
    }
    if let Ok(value) = object.cast_exact::<PyBytes>() {
        return Ok(Value::Bytes(value.as_bytes().to_vec()));
    }
    if let Ok(value) = object.cast_exact::<PyByteArray>() {
        return Ok(Value::Bytes(value.to_vec()));
    }
    if object.is_exact_instance_of::<PyList>() {
        return Ok(Value::List(items(object)?));
    }
    if object.is_exact_instance_of::<PyTuple>() {
        return Ok(Value::Tuple(items(object)?));
    }
    if object.is_exact_instance_of::<PySet>() {
        return Ok(Value::Set(items(object)?));
    }
    if object.is_exact_instance_of::<PyFrozenSet>() {
        return Ok(Value::FrozenSet(items(object)?));
    }
    if let Ok(value) = object.cast_exact::<PyDict>() {
        let entries = value
            .iter()
            .map(|(key, item)| Ok((convert(&key, depth)?, convert(&item, depth)?)));
        return Ok(Value::Dict(entries.collect::<PyResult<_>>()?));
    }
    if let Ok(value) = object.cast_exact::<PyComplex>() {
        return Ok(Value::Complex(value.real(), value.imag()));
    }
    from_datetime(object)
}

fn int(value: &Bound<'_, PyInt>) -> PyResult<Value> {
    if let Ok(number) = value.extract() {
        return Ok(Value::Int(number));
    }
    let bits: usize = value.call_method0("bit_length")?.extract()?;
    let signed = PyDict::new(value.py());
    signed.set_item("signed", true)?;
    let bytes = value.call_method("to_bytes", (bits / 8 + 1, "little"), Some(&signed))?;
    Ok(Value::BigInt(bytes.extract()?))
}

fn from_datetime(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    let datetime = object.py().import("datetime")?;
    let ty = object.get_type();
    let is = |name: &str| -> PyResult<bool> { Ok(ty.is(&datetime.getattr(name)?)) };
    let text = || object.call_method0("isoformat")?.extract();
    if is("datetime")? {
        return Ok(Value::DateTime(text()?));
    }
    if is("date")? {
        return Ok(Value::Date(text()?));
    }
    if is("time")? {
        return Ok(Value::Time(text()?));
    }
    if is("timedelta")? {
        let part = |name: &str| object.getattr(name)?.extract::<i64>();
        return Ok(Value::TimeDelta {
            days: part("days")?,
            seconds: part("seconds")?,
            microseconds: part("microseconds")?,
        });
    }
    let name = ty.fully_qualified_name()?;
    Err(PyTypeError::new_err(format!(
        "a value of type {name} cannot be passed into a sandbox"
    )))
}

/// A guest's value. What stays in the guest is an instance of `other`, which is called with the name of its type and its
/// representation.
pub(crate) fn to_python<'py>(
    value: Value,
    other: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = other.py();
    let items = |items: Vec<Value>| -> PyResult<Vec<Bound<'py, PyAny>>> {
        items
            .into_iter()
            .map(|item| to_python(item, other))
            .collect()
    };
    let of_datetime = |class: &str, text: String| {
        let class = py.import("datetime")?.getattr(class)?;
        // Before Python 3.11 it reads less than it writes in one case, which is text then.
        class
            .call_method1("fromisoformat", (&text,))
            .or_else(|_| other.call1((class.getattr("__name__")?, text)))
    };
    Ok(match value {
        Value::None => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
        Value::Int(value) => value.into_pyobject(py)?.into_any(),
        Value::BigInt(bytes) => {
            let signed = PyDict::new(py);
            signed.set_item("signed", true)?;
            let bytes = (PyBytes::new(py, &bytes), "little");
            py.get_type::<PyInt>()
                .call_method("from_bytes", bytes, Some(&signed))?
        }
        Value::Float(value) => PyFloat::new(py, value).into_any(),
        Value::Complex(real, imaginary) => PyComplex::from_doubles(py, real, imaginary).into_any(),
        Value::Str(text) => PyString::new(py, &text).into_any(),
        Value::Bytes(bytes) => PyBytes::new(py, &bytes).into_any(),
        Value::List(list) => PyList::new(py, items(list)?)?.into_any(),
        Value::Tuple(list) => PyTuple::new(py, items(list)?)?.into_any(),
        Value::Set(list) => PySet::new(py, items(list)?)?.into_any(),
        Value::FrozenSet(list) => PyFrozenSet::new(py, items(list)?)?.into_any(),
        Value::Dict(entries) => {
            let dict = PyDict::new(py);
            for (key, value) in entries {
                dict.set_item(to_python(key, other)?, to_python(value, other)?)?;
            }
            dict.into_any()
        }
        Value::Date(text) => of_datetime("date", text)?,
        Value::Time(text) => of_datetime("time", text)?,
        Value::DateTime(text) => of_datetime("datetime", text)?,
        Value::TimeDelta {
            days,
            seconds,
            microseconds,
        } => py
            .import("datetime")?
            .getattr("timedelta")?
            .call1((days, seconds, microseconds))?,
        Value::Other { type_name, repr } => other.call1((type_name, repr))?,
        _ => py.None().into_bound(py),
    })
}
