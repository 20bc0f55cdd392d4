const url = new URL(location.href).searchParams.get("url");
const source = new EventSource(url);
source.onmessage = ({ data }) => console.log(JSON.parse(data));
