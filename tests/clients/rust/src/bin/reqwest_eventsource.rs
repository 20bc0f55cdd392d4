use futures::StreamExt;
use reqwest_eventsource::{Event, EventSource};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("no URL")?;
    let mut events = EventSource::get(url);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Message(event)) if event.event == "message" => println!("{}", event.data),
            Ok(_) => {} // the connection, weir.open, weir.goodbye …
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(())
}
