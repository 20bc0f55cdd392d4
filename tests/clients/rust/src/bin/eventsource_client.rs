use eventsource_client::{Client, ClientBuilder, SSE};
use futures::StreamExt;
use launchdarkly_sdk_transport::HyperTransport;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("no URL")?;
    let client = ClientBuilder::for_url(&url)?.build_with_transport(HyperTransport::new()?);
    let mut events = client.stream();
    while let Some(event) = events.next().await {
        match event {
            Ok(SSE::Event(event)) if event.event_type == "message" => println!("{}", event.data),
            Ok(_) => {} // the connection, comments, weir.open, weir.goodbye …
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(())
}
