/** The camera of the surface: parallel projection, turned by the hand. Time runs along x, price along z, size upwards. */

const HOME = { yaw: -0.55, pitch: 0.62, zoom: 1 };
const LEAST_PITCH = 0.15;
const MOST_PITCH = 1.45;
const TALL = 0.62;
/** Room for the labels under the floor. */
const LABELS_PX = 24;

export interface Point {
  x: number;
  y: number;
}

export class Camera {
  yaw = HOME.yaw;
  pitch = HOME.pitch;
  zoom = HOME.zoom;
  width = 1;
  height = 1;

  turn(dx: number, dy: number): void {
    this.yaw += dx * 0.008;
    this.pitch = Math.min(MOST_PITCH, Math.max(LEAST_PITCH, this.pitch + dy * 0.006));
  }

  zoomBy(factor: number): void {
    this.zoom = Math.min(4, Math.max(0.4, this.zoom * factor));
  }

  home(): void {
    Object.assign(this, HOME);
  }

  get scale(): number {
    return Math.min(this.width / 3.7, (this.height - LABELS_PX) / 2.4) * this.zoom;
  }

  /** Where a place is on screen: `time` and `price` in [-1, 1], `size` in [0, 1]. */
  project(time: number, price: number, size: number): Point {
    const wide = 1.25;
    const [c, s] = [Math.cos(this.yaw), Math.sin(this.yaw)];
    const across = time * wide * c - price * s;
    const away = time * wide * s + price * c;
    return {
      x: this.width / 2 + across * this.scale,
      y: this.height * 0.57 - LABELS_PX / 3 - away * Math.sin(this.pitch) * this.scale - size * TALL * Math.cos(this.pitch) * this.scale,
    };
  }

  /** Which end of each axis is farther away: draw from there. */
  get farther(): { time: 1 | -1; price: 1 | -1 } {
    return { time: Math.sin(this.yaw) >= 0 ? 1 : -1, price: Math.cos(this.yaw) >= 0 ? 1 : -1 };
  }
}
