//! Virtual time, faulty links and reference models for testing tim.
