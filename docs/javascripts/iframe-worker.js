// The search of Material for MkDocs runs in a worker, and browsers refuse workers to pages from a file
// system. There, a hidden frame runs the worker's script and exchanges messages with the page.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const script = new URL(url, location.href);
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.worker = this;
      this.loaded = new Promise((resolve) => this.frame.addEventListener("load", resolve));
      this.frame.srcdoc = `<!doctype html>
        <script>
          const worker = frameElement.worker;
          self.postMessage = (data) => worker.dispatchEvent(new MessageEvent("message", { data }));
        </script>
        <script src="${script}"></script>`;
      document.body.append(this.frame);
    }

    postMessage(data) {
      this.loaded.then(() =>
        this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })),
      );
    }

    terminate() {
      this.frame.remove();
    }
  };
}
