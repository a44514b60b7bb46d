// The camera: on after a person's own act, off right after one picture. Nothing of it is kept.

const WIDTH = 640;
const HEIGHT = 480;
const SETTLE_MS = 500; // light and focus
const PATIENCE_MS = 10000;
const CODE_EVERY_MS = 150;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const within = (promise, ms) => Promise.race([
  promise, pause(ms).then(() => { throw new Error("the camera says nothing"); })]);

/** A camera that is on. `off` ends it for certain, and takes the picture off the page. */
export class Camera {
  constructor(video) {
    this.video = video;
    this.stream = null;
    this.ended = false;
  }

  /** Start it. Throws where there is none, or where it may not be used. */
  async on() {
    const asked = navigator.mediaDevices.getUserMedia({
      audio: false, video: { width: { ideal: WIDTH }, height: { ideal: HEIGHT }, facingMode: "user" } });
    asked.then((late) => { if (this.ended) stop(late); }, () => {}); // it was given after we had left
    this.stream = await within(asked, PATIENCE_MS);
    this.video.srcObject = this.stream;
    this.video.hidden = false;
    await within(this.video.play(), PATIENCE_MS);
  }

  off() {
    this.ended = true;
    if (this.stream !== null) stop(this.stream);
    this.stream = null;
    this.video.srcObject = null;
    this.video.hidden = true;
  }

  /** Return one picture as JPEG, 640 by 480; what it was drawn on is wiped. */
  async picture() {
    await pause(SETTLE_MS);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [WIDTH, HEIGHT];
    try {
      const { videoWidth: wide, videoHeight: high } = this.video;
      const scale = Math.max(WIDTH / wide, HEIGHT / high); // the middle of it, not stretched
      const [width, height] = [wide * scale, high * scale];
      canvas.getContext("2d").drawImage(this.video, (WIDTH - width) / 2, (HEIGHT - height) / 2, width, height);
      const made = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
      if (made === null) throw new Error("no picture");
      return made;
    } finally {
      canvas.getContext("2d").clearRect(0, 0, WIDTH, HEIGHT);
      [canvas.width, canvas.height] = [0, 0];
    }
  }

  /** Return the text of the first QR code that is held up, or null when none came in time. */
  async code(ms) {
    const detector = new window.BarcodeDetector({ formats: ["qr_code"] });
    for (let left = ms; left > 0 && !this.ended; left -= CODE_EVERY_MS) {
      const found = await detector.detect(this.video);
      if (found.length === 1) return found[0].rawValue;
      await pause(CODE_EVERY_MS);
    }
    return null;
  }
}

const stop = (stream) => {
  for (const track of stream.getTracks()) track.stop();
};

/** Take one picture: camera on, picture, camera off, whatever happens. */
export const takePicture = async (video) => {
  const camera = new Camera(video);
  try {
    await camera.on();
    return await camera.picture();
  } finally {
    camera.off();
  }
};

/** Whether this browser reads codes by itself. */
export const readsCodes = async () => {
  try {
    return (await window.BarcodeDetector.getSupportedFormats()).includes("qr_code");
  } catch {
    return false;
  }
};
