//! The colours of terminals.

use std::fmt;

use vt100::{Cell, Color};

/// The colours of a window.
#[derive(Clone, Debug)]
pub struct Theme {
    pub(super) ink: Ink,
    pub(super) ground: Ink,
    pub(super) frame: Ink,
    pub(super) bar: Ink,
    /// The 16 that programs call by number.
    palette: [Ink; 16],
}

impl Theme {
    /// Dark ink on a light ground.
    pub const LIGHT: Self = Self {
        ink: Ink(0x24_29_2f),
        ground: Ink(0xff_ff_ff),
        frame: Ink(0xd0_d7_de),
        bar: Ink(0xf0_f2_f5),
        palette: [
            Ink(0x24_29_2f),
            Ink(0xb3_1d_28),
            Ink(0x11_6b_2b),
            Ink(0x7d_5a_00),
            Ink(0x05_50_ae),
            Ink(0x7a_33_b8),
            Ink(0x0b_6a_7a),
            Ink(0xc8_cd_d3),
            Ink(0x57_60_6a),
            Ink(0xd0_30_3c),
            Ink(0x1a_83_38),
            Ink(0x9a_70_00),
            Ink(0x21_6f_d6),
            Ink(0x8f_50_d8),
            Ink(0x14_84_96),
            Ink(0xff_ff_ff),
        ],
    };

    /// Light ink on a dark ground.
    pub const DARK: Self = Self {
        ink: Ink(0xe2_e6_eb),
        ground: Ink(0x16_1b_22),
        frame: Ink(0x3a_42_4c),
        bar: Ink(0x24_2b_34),
        palette: [
            Ink(0x30_36_3d),
            Ink(0xe5_53_4b),
            Ink(0x57_ab_5a),
            Ink(0xc6_90_26),
            Ink(0x3f_78_d0),
            Ink(0xb0_83_f0),
            Ink(0x39_a5_b0),
            Ink(0xc2_c9_d1),
            Ink(0x84_8d_97),
            Ink(0xff_7b_72),
            Ink(0x7e_e7_87),
            Ink(0xf2_cc_60),
            Ink(0x79_b8_ff),
            Ink(0xd2_a8_ff),
            Ink(0x56_d4_dd),
            Ink(0xff_ff_ff),
        ],
    };

    /// The ink of a cell, and its ground if that is not the window's.
    pub(super) fn inks(&self, cell: &Cell) -> (Ink, Option<Ink>) {
        let (ink, ground) = (self.of(cell.fgcolor()), self.of(cell.bgcolor()));
        if cell.inverse() {
            return (ground.unwrap_or(self.ground), Some(ink.unwrap_or(self.ink)));
        }
        (ink.unwrap_or(self.ink), ground)
    }

    /// `None`: what the window has.
    fn of(&self, colour: Color) -> Option<Ink> {
        match colour {
            Color::Default => None,
            Color::Idx(number @ 0..=15) => Some(self.palette[usize::from(number)]),
            Color::Idx(number @ 16..=231) => {
                // A cube of six steps a side.
                let number = number - 16;
                let step = |digit: u8| if digit == 0 { 0 } else { 55 + 40 * digit };
                Some(Ink::rgb(step(number / 36), step(number / 6 % 6), step(number % 6)))
            }
            Color::Idx(number @ 232..) => {
                let grey = 8 + 10 * (number - 232);
                Some(Ink::rgb(grey, grey, grey))
            }
            Color::Rgb(red, green, blue) => Some(Ink::rgb(red, green, blue)),
        }
    }
}

/// Red, green and blue, a byte each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink(u32);

impl Ink {
    fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self(u32::from_be_bytes([0, red, green, blue]))
    }
}

impl fmt::Display for Ink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:06x}", self.0)
    }
}
