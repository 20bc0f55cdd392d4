import { fetchEventSource } from "@microsoft/fetch-event-source";

const url = new URL(location.href).searchParams.get("url");
fetchEventSource(url, {
  onmessage({ event, data }) {
    if (event === "") console.log(JSON.parse(data)); // others are weir.open, weir.goodbye …
  },
});
