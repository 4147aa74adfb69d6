// How the picture is looked at, on this screen alone: full screen, a small window above others, mirrored, and
// the slider between before and after.

import { at, icon, make, remember, remembered } from "./dom.js";
import { say } from "./said.js";

const ICONS = {
  snapshot: ["M4 8h3l2-3h6l2 3h3v11H4z", "M12 9.5a3.5 3.5 0 1 0 .01 0z"],
  mirror: ["M12 4v16", "M9 7 4 17h5z", "M15 7l5 10h-5z"],
  small: ["M4 5h16v14H4z", "M12 12h6v5h-6z"],
  sound: ["M4 9h4l5-4v14l-5-4H4z", "M16 9a4 4 0 0 1 0 6", "M18.5 6.5a8 8 0 0 1 0 11"],
  full: ["M4 9V4h5", "M15 4h5v5", "M20 15v5h-5", "M9 20H4v-5"],
};

// The row of buttons under the picture, the same on both pages.
export function buildTools(row) {
  const record = tool("record", "Record");
  record.prepend(make("span", "", { className: "dot", ariaHidden: "true" }));
  record.querySelector("span:last-child").id = "record-label";
  record.ariaPressed = "false";
  const mirror = tool("mirror", "Mirror", ICONS.mirror);
  mirror.title = "Only on this screen: files and other viewers are not mirrored";
  const small = tool("small", "Small window", ICONS.small);
  small.title = "A small window that stays above other programs";
  row.replaceChildren(
    tool("snapshot", "Snapshot", ICONS.snapshot), record, mirror, small, tool("full", "Full screen", ICONS.full),
  );
}

function tool(id, label, paths) {
  const button = make("button", "", { id, type: "button", className: "tool" });
  if (paths) button.append(icon(...paths));
  button.append(make("span", label));
  return button;
}

export function prepareFullScreen(stage, video) {
  const button = at("full"), leave = at("leave-full");
  const canStage = Boolean(stage.requestFullscreen), canVideo = Boolean(video?.webkitEnterFullscreen);
  button.hidden = !canStage && !canVideo;
  const toggle = async () => {
    try {
      if (document.fullscreenElement) await document.exitFullscreen();
      else if (canStage) await stage.requestFullscreen({ navigationUI: "hide" });
      else video.webkitEnterFullscreen(); // telephones that give the whole screen to videos alone
    } catch {
      say("The browser does not give the whole screen to this page.", "problem");
    }
  };
  button.addEventListener("click", toggle);
  leave.addEventListener("click", toggle);
  document.addEventListener("fullscreenchange", () => {
    const on = document.fullscreenElement === stage;
    leave.hidden = !on;
    button.ariaPressed = String(on);
    (on ? leave : button).focus();
  });
}

// `video`: a function that returns the video to be shown, playing. `changed`: called when it opens or closes.
export function prepareSmallWindow(video, changed = () => {}) {
  const button = at("small");
  button.hidden = !document.pictureInPictureEnabled;
  const show = () => {
    button.ariaPressed = String(Boolean(document.pictureInPictureElement));
    changed();
  };
  button.addEventListener("click", async () => {
    try {
      if (document.pictureInPictureElement) {
        await document.exitPictureInPicture();
        return;
      }
      const shown = await video();
      shown.addEventListener("leavepictureinpicture", show, { once: true });
      await shown.requestPictureInPicture();
      show();
    } catch {
      say("The small window cannot be opened just now.", "problem");
    }
  });
}

// Sound is off until it is asked for: browsers play none of a page that nobody has touched.
export function prepareSound(tools, changed) {
  const button = tool("sound", "Sound", ICONS.sound);
  button.hidden = true;
  button.ariaPressed = "false";
  tools.append(button);
  const set = (on) => {
    button.ariaPressed = String(on);
    changed(on);
  };
  button.addEventListener("click", () => set(button.ariaPressed !== "true"));
  return {
    get on() { return button.ariaPressed === "true"; },
    show(there) {
      button.hidden = !there;
      if (!there) button.ariaPressed = "false";
    },
  };
}

export function isSmallWindowOpen() {
  return Boolean(document.pictureInPictureElement);
}

// Mirroring is remembered in this browser; `set` shows another without remembering it.
export function prepareMirror(stage, key, otherwise) {
  const button = at("mirror");
  const set = (on) => {
    stage.dataset.mirror = on ? "yes" : "no";
    button.ariaPressed = String(on);
  };
  const usual = () => Boolean(remembered(key, otherwise));
  button.addEventListener("click", () => {
    const on = stage.dataset.mirror !== "yes";
    remember(key, on);
    set(on);
  });
  set(usual());
  return { set, usual };
}

export function prepareWipe(stage, changed = () => {}) {
  const wipe = at("wipe");
  const show = () => {
    stage.style.setProperty("--wipe", `${wipe.value}%`);
    wipe.setAttribute("aria-valuetext", `${Math.round(wipe.value)} percent before`);
    changed();
  };
  wipe.addEventListener("input", show);
  wipe.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!way) return; // the step that suits a hand is too small for a key
    event.preventDefault();
    wipe.value = Number(wipe.value) + way * (event.shiftKey ? 10 : 2);
    show();
  });
  show();
}
