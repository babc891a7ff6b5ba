//! Parses the command line, runs the subcommand, exits with its code.

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    kafka_s3_sink::cli::main()
}
