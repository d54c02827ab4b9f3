//! Makes the gRPC code of the ticker (`src/ticker.rs`), without `protoc`: the service is described here, its messages there.

use tonic_build::manual::{Builder, Method, MethodBuilder, Service};

fn main() {
    let service = Service::builder()
        .name("Ticker")
        .package("ticker.v1")
        .comment("Tells ticks.")
        .method(method("now", "Now", "crate::ticker::At").comment("One tick.").build())
        .method(
            method("count", "Count", "crate::ticker::UpTo")
                .comment("All ticks, one by one.")
                .server_streaming()
                .build(),
        )
        .build();
    Builder::new().compile(&[service]);
}

fn method(name: &str, route: &str, input: &str) -> MethodBuilder {
    let (output, codec) = ("crate::ticker::Tick", "tonic_prost::ProstCodec");
    Method::builder().name(name).route_name(route).input_type(input).output_type(output).codec_path(codec)
}
