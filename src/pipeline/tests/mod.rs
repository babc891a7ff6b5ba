//! The whole pipeline against a small faulty world, and its single edges one by one.

mod allocations;
mod common;
mod course;
mod edges;
mod recover;
mod seeds;
mod shortage;
mod world;
