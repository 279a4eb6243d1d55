//! Clients whose hooks are only documented, case by case.
