"""Small videos of a test pattern that OpenCV reads and cannot write.

FFmpeg made them from its `testsrc2`: three frames of two fields (MPEG-2, H.264,
MPEG-4), and three of pixels of 64:45 (H.264), all of 32 x 32 pixels.
"""

from __future__ import annotations

import base64
import pathlib
import zlib

_PACKED = {
  'interlaced.mpg': (
    'c-muNVBE~apdkGJ{{smI2F9%-O$>|-'
    'K)|?zfrG(;0mR||{{tk`|NnCXNP_Wm&BJK>z5W`;Gu(I1;V<rwc)q)#_KfA>S)ZJ_RAo=J$DQ+'
    'Vn8sZ8^V8(@PLsOK1z#C(R{q{low{|cLiOBfGC#xjcDX&!*%@0s8)O{Q=bHUOx^m|`#riA5GaW'
    '3rwzJ>$FZz4s`<2(-'
    'LM31ag#Z8D0CGX2Jk$lBnhvxuSTtD5iODjb|9?e|MUIXCe*=3$!3%~G<_M6XpQbU`EIR<!Jsm@'
    'LUJh7EUJd}rGF(s'
  ),
  'interlaced.mp4': (
    'c-'
    'muNU{FXasVvAW&d+6FU}6B#Kx~v)mTZ_?U}DI?z`&7Kl$r{pi*r*FOMtXrYDW_jTYZWytD5a~|'
    'LC%;g`#&q3Q9@~_ukv}My<HVOg4Xiwbe`c=Pz?y^gHB^Iv2kB@&EM){+$<8p7lC*eqH`P?Nr}Y'
    'o$w6;Ns+6BG=U~^I?hrQbE|(dR{&%k<2;Ay6X!o`WME)6&&|&-'
    '1B&J3mSv<cpaA9<K%#<ykpYAdfDu&{I^Tf-FJJ<qwvwX6Y#=+PBpYleGZxb-Fmw`QuL2Y^FsP)'
    'aloSJLnbe%(5+of!b6KEz8UN*`WF~@i<ffqe-3W-'
    ';7($PLIl37sIYls;vdolJWR+n+e!fRyUP?|XNDbr4+|0Z*AVZ`q7i=i9GgVR`axy7JscA@#;wd'
    'f4QGl=+GmA@-'
    'a)9i;#U;flNNU!C(hH8D0C`%0!2?Kpz*O+~0M#qxWF}P@nVDdV2#Npyfuu1|l`~@sgXsT<3}Wd'
    '(dd*F*8ypRwH~|up{9Pia85!6zelPIV>HhoU2S}qpL1J+M)Da*ol2lRz4PoiKFvE*Wz@ZOwEHg'
    'Obfog%CLKX*MjbwycW{4OIRGtk=gZ0V)^(Ld~g{o&z0LoP%CtV;80%BfJ;6m(8&PUQ~0K~SXDJ'
    '7uTH_c52(;%RT9MizmQIuFvkb@j*9GSr61OQ)+nRf'
  ),
  'interlaced.avi': (
    'c-'
    'jl{baSf{XJBv)^HlKh3=WA9VqnNfDauJK%gnG~U|?{V!@#g2kpT<@I2jn2Axs8FhzNrMkW^s61'
    'R%2*1Q{5LONw%U7;IKqW=gS}Z-'
    '5E1I*>V%P&UZyB|!Wi2w?IGKnT>IrU7JYK<!ch>yuyro5h1^w^yj2w}b!#0}GUIV33l`FbYP&C'
    '>RB!U=)mkQ7{Td!6+C7qhJ(_f)NGE3W^F+kochS2L%S$xB?@b&BOp2;efDVG&;a14;tG5jYY5k'
    '8Tl!>IY5;0V+4mgC@g+3kEXv-FbYN@0F4RX0@AtpWtpHc*(H!tas#k<WZc>*3@I=f6&Q~6b}*b'
    '}WMPqU268v~B$g$c8S5G985$S?`I{L8*n!kGfu!F_*#)n@pABJYn6{K@ifPPsj}@*#jY5;+3XF'
    'vX-vo5Eu{aBdX+E%O?uZtRj@kBn!hxj`JZ+1oH~3F1zVEPzW5?+Y4=$#>u$a7HgOcBRErD{zG6'
    'shGLLG;+3OXmGH!p1Par3$@t0QzD<W@e2Tek&#ta%Sq<=*8166Jx41}1_<^D|Q_3=J3{BhH{20'
    'W<==gaI)Ey#a{%kod=d7-R+j>`;3`'
  ),
  'wide_pixels.mp4': (
    'c-'
    'muNU{FXasVvAW&d+6FU}6B#Kx~v)mTZ_?U}DI?z`&7Kl$r{p{c}?iOMtX?YDWu0dYV0ByUz9QI'
    'qNj-MDF}+N?xYHC|$Mep1b(ml^+uFw+i%nne$s!g0wr%Qp$0wKivRgGtP6Yl>Gmsk%58PCO1F7'
    '3@Db9Tb7Z+fC89b00|ogMg|Z<07g_*=zIqTynqRax=V@@vw`fGl5DV@%vemb!O%&Jy}C^|7!<%'
    '<mDH4yVjwM(np0eYq{9a61h8Hv=G>IbL?A;UHwE4AMqp=!9szT7Gg5MjU@~QyDXGXR!+`vJkHo'
    'x`oK%n+#&x-wd1*j~NLen}P-'
    'JJSq(J0kQi@X3kQ~KRT9l&zVKe3xmn7u?*@uctic^r(YyzbP96<r}0uXutX%CnR9v`53g`CW!3'
    'L`TUY!M;x|38ql0IG6kOkv>q|ByjC9Z0Xa>6!lrX#N%lPyhf4N#-'
    'M+sSS(_Y#FZ~`08~3{qX~&Tc9AZxBwdJx**>sl@vjPS>+eZhT;-'
    '%6u?}}40X5&&}YcvAgqy$P|FMvV}i;vLus&H8KB-'
    '|G`&#u3<^NGD&+JF#QLDng<_z+$@xfn4S?9TG^GTT1Wa>N!88acB1bnci4-Lk6yzWW9Y-'
    'cGO#uKs(ub@'
  ),
}
INTERLACED = tuple(name for name in _PACKED if name.startswith('interlaced'))
WIDE_PIXELS = 'wide_pixels.mp4'


def content(name: str) -> bytes:
  """Returns the bytes of one of the videos."""
  return zlib.decompress(base64.b85decode(_PACKED[name]))


def write(folder: pathlib.Path, name: str) -> pathlib.Path:
  """Writes one of the videos into a folder."""
  file = folder / name
  file.write_bytes(content(name))
  return file
